// One answer: plain data, which the history keeps as it is, filled from the frames of a stream.

import { chat } from "./api.js";
import { detailsOf, Failure } from "./failure.js";

// Characters of text and reasoning. A model that repeats itself without end is stopped here.
const LONGEST = 1_000_000;

/** An answer that has not begun. */
export function newAnswer(role) {
  return {
    role: role.id, provider: role.provider, model: role.model, status: "waiting", text: "", reasoning: "",
    firstDelta: null, total: null, finish: null, usage: null, polysight: {}, error: null,
  };
}

/** Whether more may come. */
export function isRunning(answer) {
  return answer.status === "waiting" || answer.status === "streaming";
}

function take(answer, frame, elapsed) {
  const choice = frame.choices?.[0];
  const text = choice?.delta?.content ?? "";
  const reasoning = choice?.delta?.reasoning_content ?? "";
  if (text !== "" || reasoning !== "") {
    answer.firstDelta ??= elapsed();
    answer.status = "streaming";
  }
  answer.text += text;
  answer.reasoning += reasoning;
  answer.finish = choice?.finish_reason ?? answer.finish;
  answer.usage = frame.usage ?? answer.usage;
  Object.assign(answer.polysight, frame.polysight);
  answer.provider = answer.polysight.provider ?? answer.provider;
  answer.model = answer.polysight.model ?? answer.model;
  if (answer.text.length + answer.reasoning.length > LONGEST) {
    throw new Failure({ key: "error-large", values: { limit: LONGEST } });
  }
}

function fail(answer, error) {
  if (error.name === "AbortError") {
    answer.status = "stopped";
    return;
  }
  answer.error = detailsOf(error);
  answer.provider = answer.error.provider ?? answer.provider;
  answer.status = answer.error.violations.length > 0 ? "refused" : "failed";
}

/**
 * Sends the request and fills the answer; `changed` is called after every frame. It never fails: the answer says how it
 * ended.
 */
export async function runAnswer(answer, body, signal, changed) {
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  try {
    for await (const frame of chat(body, signal)) {
      take(answer, frame, elapsed);
      changed();
    }
    if (answer.finish === null) throw new Failure({ key: "error-cut" });
    answer.status = "done";
  } catch (error) {
    fail(answer, error);
  }
  answer.total = elapsed();
  changed();
}
