// Server-sent events: the data of each, whatever the line ends; comments and other fields are skipped.

import { Failure } from "./failure.js";

// Characters of one event. A frame of an answer holds far fewer.
const LONGEST = 8 * 1024 * 1024;

async function* chunks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure({ key: "error-cut" });
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function* lines(body) {
  let rest = "";
  for await (const chunk of chunks(body)) {
    rest += chunk;
    if (rest.length > LONGEST) throw new Failure({ key: "error-large", values: { limit: LONGEST } });
    const complete = rest.split(/\r\n|\n|\r(?!$)/);
    rest = complete.pop();
    yield* complete;
  }
  if (rest !== "") yield rest;
}

/** The data of each event of a body. */
export async function* eventData(body) {
  let data = [];
  for await (const line of lines(body)) {
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    if (line === "" && data.length > 0) {
      yield data.join("\n");
      data = [];
    }
  }
  if (data.length > 0) yield data.join("\n");
}
