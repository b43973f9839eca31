// One kind of failure for everything that can go wrong between the page and the gateway.

import { t } from "./i18n.js";

/**
 * Why a call failed: a `message` of the gateway, or the `key` of a text of the page with its `values`; with status,
 * code, request id, violations, failed attempts, provider and whether it was billed, where these are known.
 */
export class Failure extends Error {
  constructor(details) {
    super(details.message ?? details.key);
    this.details = { violations: [], ...details };
  }
}

/** The details of anything that was thrown. */
export function detailsOf(error) {
  return error.details ?? { message: String(error), violations: [] };
}

/** What a failure says, in the language of the page. */
export function explained({ message, key, values }) {
  return message ?? t(key, values);
}
