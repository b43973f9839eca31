// Calls the gateway by clients of npm in the ways their users call them, and prints a line of JSON for each case.
// Run by run.py from a folder where the packages are installed: node cases.mjs SUFFIX GATEWAY EMULATOR
import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import axios from "axios";
import OpenAI from "openai";

const [suffix, gateway, emulator] = process.argv.slice(2);
const { GATEWAY_KEY: key, NARROW_KEY: narrowKey } = process.env;
const base = `${gateway}/v1`;
const question = "How many legs?";
const value = { animal: "cat", legs: 4 };
const schema = {
  type: "object",
  properties: { animal: { type: "string" }, legs: { type: "integer" } },
  required: ["animal", "legs"],
  additionalProperties: false,
};
const parameters = { type: "object", properties: { animal: { type: "string" } }, required: ["animal"] };
const countLegs = { type: "function", function: { name: "count_legs", description: "Counts legs.", parameters } };

// Two PNGs of 32 x 24 px, each of one colour.
const pictures = [
  "iVBORw0KGgoAAAANSUhEUgAAACAAAAAYCAIAAAAUMWhjAAAAJElEQVR4nGPgOiFHU8QwasGoBaMWjFowasGoBaMWjFowNCwAAEzu0B+qICsjAAAAAElFTkSuQmCC",
].map((text) => Buffer.from(text, "base64"));
pictures.push(recoloured());
const uris = pictures.map((picture) => `data:image/png;base64,${picture.toString("base64")}`);
const hashes = pictures.map((picture) => createHash("sha256").update(picture).digest("hex"));

function recoloured() {
  const row = Buffer.from([0, ...Array(32).fill([200, 10, 30]).flat()]);
  const data = deflateSync(Buffer.concat(Array(24).fill(row)));
  const body = Buffer.concat([Buffer.from("IDAT"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([pictures[0].subarray(0, 33), length, body, checksum, pictures[0].subarray(-12)]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function has(text, ...parts) {
  for (const part of parts) if (!(text ?? "").includes(part)) throw new Error(`${part} is not in ${text}`);
}

function equal(left, right) {
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error(`${JSON.stringify(left)}, not ${JSON.stringify(right)}`);
}

// The call must fail, with this status where one is named.
async function fails(call, status, ...parts) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    const found = error.status ?? error.statusCode ?? error.response?.status;
    if (status && found !== status) throw new Error(`status ${found}, not ${status}: ${error.message}`);
    has(`${error.message} ${JSON.stringify(error.response?.data ?? "")}`, ...parts);
    return error;
  }
  throw new Error(`it did not fail: ${JSON.stringify(answer)}`);
}

async function prepare(answer) {
  await fetch(`${emulator}/polysight/answers`, { method: "POST", body: JSON.stringify(answer) });
}

async function run(client, name, test) {
  let outcome = "ok";
  try {
    await test();
  } catch (error) {
    outcome = `failed: ${error.name}: ${String(error.message).replace(/\s+/g, " ").slice(0, 300)}`;
  }
  console.log(JSON.stringify({ client: client + suffix, case: name, outcome }));
}

function user(...media) {
  const parts = media.map((url) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: media.length ? [...parts, { type: "text", text: question }] : question };
}

async function openaiCases() {
  const name = "openai (Node)";
  let requests = 0;
  const counted = (...request) => {
    requests += 1;
    return fetch(...request);
  };
  const client = (apiKey = key, maxRetries = 0) => new OpenAI({ apiKey, baseURL: base, maxRetries, timeout: 20000, fetch: counted });
  const ask = (model, messages = [user()], more = {}, from = client()) =>
    from.chat.completions.create({ model, messages, ...more });
  const text = async (...request) => (await ask(...request)).choices[0].message.content;

  await run(name, "text", async () => has(await text("zhipu"), question));
  await run(name, "picture", async () => {
    for (const role of ["zhipu", "qwen", "ernie"]) has(await text(role, [user(uris[0])]), hashes[0]);
  });
  await run(name, "pictures", async () => has(await text("qwen", [user(...uris)]), ...hashes));
  await run(name, "stream", async () => {
    let all = "";
    let usage = null;
    const more = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await ask("qwen", [user(uris[0])], more)) {
      all += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    has(all, hashes[0]);
    if (!usage?.total_tokens) throw new Error("no usage");
  });
  await run(name, "tools", async () => {
    const said = (await ask("zhipu", [user()], { tools: [countLegs] })).choices[0].message;
    const call = said.tool_calls[0];
    if (call.function.name !== "count_legs" || !("animal" in JSON.parse(call.function.arguments))) throw new Error(JSON.stringify(said));
    await prepare({ text: "It has four." });
    const result = { role: "tool", tool_call_id: call.id, content: "four" };
    has(await text("zhipu", [user(), said, result], { tools: [countLegs] }), "four");
  });
  await run(name, "JSON", async () => {
    for (const response_format of [{ type: "json_object" }, { type: "json_schema", json_schema: { name: "animal", schema, strict: true } }]) {
      await prepare({ json: value });
      equal(JSON.parse(await text("ernie", [{ role: "user", content: `Answer in JSON. ${question}` }], { response_format })), value);
    }
  });
  await run(name, "reasoning", async () => {
    const { message } = (await ask("thinking")).choices[0];
    if (!message.reasoning_content) throw new Error(JSON.stringify(message));
  });
  await run(name, "errors", async () => {
    await fails(() => ask("throttled"), 429);
    await fails(() => ask("overloaded"), 503);
    await fails(() => ask("zhipu", undefined, {}, client("wrong")), 401);
    await fails(() => ask("zhipu", undefined, {}, client(narrowKey)), 404, "ernie");
    await fails(() => ask("quen"), 404, "qwen");
    await fails(() => ask("zhipu", undefined, { top_p: 5 }), 400, "top_p");
    await fails(async () => {
      for await (const chunk of await ask("broken", undefined, { stream: true })) void chunk;
    });
  });
  await run(name, "no balance", async () => {
    requests = 0;
    await fails(() => ask("no_balance", undefined, {}, client(key, 2)), 402);
    equal(requests, 1);
  });
  await run(name, "abort", async () => {
    const stream = await ask("slow", undefined, { stream: true });
    for await (const chunk of stream) {
      void chunk;
      stream.controller.abort();
      break;
    }
    has(await text("zhipu"), question);
  });
  await run(name, "models", async () => {
    const listed = (await client().models.list()).data.map((model) => model.id);
    for (const role of ["zhipu", "qwen", "ernie"]) if (!listed.includes(role)) throw new Error(listed.join());
  });
}

async function aiSdkCases() {
  const name = "AI SDK";
  const provider = (apiKey = key, more = {}) => createOpenAICompatible({ name: "gateway", baseURL: base, apiKey, includeUsage: true, ...more });
  const ask = (model, more = {}, from = provider()) =>
    generateText({ model: from(model), prompt: question, maxRetries: 0, ...more });
  const withPictures = (...found) => [
    { role: "user", content: [...found.map((image) => ({ type: "image", image, mediaType: "image/png" })), { type: "text", text: question }] },
  ];
  const see = (model, ...found) => ask(model, { prompt: undefined, messages: withPictures(...found) });

  await run(name, "text", async () => has((await ask("zhipu")).text, question));
  await run(name, "picture", async () => {
    for (const role of ["zhipu", "qwen", "ernie"]) has((await see(role, pictures[0])).text, hashes[0]);
  });
  await run(name, "pictures", async () => has((await see("qwen", ...pictures)).text, ...hashes));
  await run(name, "stream", async () => {
    const answer = streamText({ model: provider()("qwen"), messages: withPictures(pictures[0]), maxRetries: 0 });
    has(await answer.text, hashes[0]);
    equal(await answer.finishReason, "stop");
    if (!(await answer.usage).totalTokens) throw new Error("no usage");
  });
  await run(name, "tools", async () => {
    const count = tool({ description: "Counts legs.", inputSchema: jsonSchema(parameters), execute: async () => "four" });
    const answer = await ask("zhipu", { tools: { count_legs: count }, stopWhen: stepCountIs(2) });
    equal(answer.steps[0].toolCalls[0].toolName, "count_legs");
    equal(answer.steps[0].toolResults[0].output, "four");
    equal(answer.steps.length, 2);
  });
  await run(name, "JSON", async () => {
    const wanted = { prompt: `Answer in JSON. ${question}`, output: Output.object({ schema: jsonSchema(schema) }) };
    for (const supportsStructuredOutputs of [false, true]) {
      await prepare({ json: value });
      equal((await ask("ernie", wanted, provider(key, { supportsStructuredOutputs }))).output, value);
    }
  });
  await run(name, "reasoning", async () => {
    if (!(await ask("thinking")).reasoningText) throw new Error("no reasoning");
  });
  await run(name, "errors", async () => {
    await fails(() => ask("throttled"), 429);
    await fails(() => ask("zhipu", {}, provider("wrong")), 401);
    await fails(() => ask("quen"), 404, "qwen");
    await fails(() => ask("zhipu", { topP: 5 }), 400, "top_p");
    const errors = [];
    const broken = streamText({ model: provider()("broken"), prompt: question, maxRetries: 0, onError: ({ error }) => errors.push(error) });
    await broken.consumeStream();
    if (!errors.length) throw new Error("the broken stream ended without an error");
  });
  await run(name, "no balance", async () => {
    const error = await fails(() => ask("no_balance", { maxRetries: 2 }), 402);
    equal(error.isRetryable, false);
  });
  await run(name, "abort", async () => {
    const controller = new AbortController();
    const answer = streamText({ model: provider()("slow"), prompt: question, abortSignal: controller.signal, onError() {} });
    for await (const part of answer.textStream) {
      void part;
      controller.abort();
      break;
    }
    has((await ask("zhipu")).text, question);
  });
}

async function axiosCases() {
  const name = "axios";
  const ask = (model, messages = [user()], apiKey = key) =>
    axios.post(`${base}/chat/completions`, { model, messages }, { headers: { Authorization: `Bearer ${apiKey}` } });
  const text = async (...request) => (await ask(...request)).data.choices[0].message.content;

  await run(name, "text", async () => has(await text("zhipu"), question));
  await run(name, "picture", async () => has(await text("zhipu", [user(uris[0])]), hashes[0]));
  await run(name, "pictures", async () => has(await text("qwen", [user(...uris)]), ...hashes));
  await run(name, "errors", async () => {
    await fails(() => ask("throttled"), 429);
    await fails(() => ask("no_balance"), 402);
    await fails(() => ask("zhipu", undefined, "wrong"), 401);
    await fails(() => ask("quen"), 404, "qwen");
  });
}

await openaiCases();
await aiSdkCases();
await axiosCases();
