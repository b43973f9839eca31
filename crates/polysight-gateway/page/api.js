// What the page asks of the gateway: the list of models, and streamed chat completions.

import { eventData } from "./events.js";
import { Failure } from "./failure.js";
import { keep, recall } from "./storage.js";

const KEY = "polysight.key";

/** Keeps the gateway's key for as long as the tab is open. */
export function useKey(key) {
  keep("sessionStorage", KEY, key);
}

/** Whether a key is in use. */
export function hasKey() {
  return recall("sessionStorage", KEY) !== null;
}

function failureOf({ message, type, code, polysight = {} }, more) {
  const said = typeof message === "string" && message !== "" ? { message } : { key: "error-status", values: more };
  const { violations = [], attempts, provider, billed } = polysight;
  // The gateway's word for the kind of failure, then the vendor's own code.
  const codes = [code ?? type, polysight.code].filter(Boolean).join(", ");
  return new Failure({ ...said, code: codes, violations, attempts, provider, billed, ...more });
}

async function refusal(reply) {
  const more = { status: reply.status, requestId: reply.headers.get("x-request-id") };
  const body = await reply.json().catch(() => ({}));
  return failureOf(body?.error ?? {}, more);
}

async function request(path, options) {
  const key = recall("sessionStorage", KEY);
  const headers = { ...options.headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure({ key: "error-network" });
  }
  if (!reply.ok) throw await refusal(reply);
  return reply;
}

/** The models that the gateway offers. */
export async function models() {
  const reply = await request("v1/models", {});
  const list = await reply.json().catch(() => null);
  return Array.isArray(list?.data) ? list.data : [];
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new Failure({ key: "error-frame" });
  }
}

/** The frames of a streamed answer; fails with what an error frame says, and when the connection breaks. */
export async function* chat(body, signal) {
  const headers = { "content-type": "application/json" };
  const reply = await request("v1/chat/completions", { method: "POST", body, headers, signal });
  const requestId = reply.headers.get("x-request-id");
  for await (const data of eventData(reply.body)) {
    if (data === "[DONE]") return;
    const frame = parsed(data);
    if (frame.error) throw failureOf(frame.error, { status: reply.status, requestId });
    yield frame;
  }
}
