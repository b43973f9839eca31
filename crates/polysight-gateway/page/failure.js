// One kind of failure for everything that can go wrong between the page and the gateway.

/**
 * Why a call failed: a `message` of the gateway, or the `key` of a text of the page with its `values`; with status, type,
 * code, request id and violations where there are any.
 */
export class Failure extends Error {
  constructor(details) {
    super(details.message ?? details.key);
    this.details = { violations: [], ...details };
  }
}
