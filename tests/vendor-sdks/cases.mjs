// Calls the openai package of npm in the ways its users call it, and prints a line of JSON for each case.
// Run by run.py from a folder where the package is installed: node cases.mjs ROOT
import { createHash } from "node:crypto";
import OpenAI from "openai";

const root = process.argv[2];
// A PNG of 32 x 24 px, all one green.
const base64 = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAYCAIAAAAUMWhjAAAAJElEQVR4nGPgOiFHU8QwasGoBaMWjFowasGoBaMWjFowNCwAAEzu0B+qICsjAAAAAElFTkSuQmCC";
const sha256 = createHash("sha256").update(Buffer.from(base64, "base64")).digest("hex");
const question = "How many legs?";
const asked = `You asked: ${question}`;
const link = "https://example.com/photo.jpg";
const tool = {
  type: "function",
  function: {
    name: "count_legs",
    description: "Counts legs.",
    parameters: { type: "object", properties: { animal: { type: "string" } }, required: ["animal"] },
  },
};

function wants(text, ...parts) {
  for (const part of parts) {
    if (!(text ?? "").includes(part)) throw new Error(`${part} is not in ${text}`);
  }
}

async function run(sdk, name, test) {
  let outcome = "ok";
  try {
    if (test === null) outcome = "not offered";
    else await test();
  } catch (error) {
    outcome = `failed: ${error.name}: ${String(error.message).replace(/\s+/g, " ").slice(0, 300)}`;
  }
  console.log(JSON.stringify({ sdk, case: name, outcome }));
}

const surfaces = [
  ["/v1", "any-key", "Qwen2.5-VL-72B-Instruct", null],
  ["/compatible-mode/v1", "sk-canary", "qwen3-vl-plus", "qwen3-vl-plus"],
  ["/v2", "bce-v3/ALTAK-canary/0f", "ernie-4.5-turbo-vl", "ernie-5.0"],
  ["/api/paas/v4", "0123456789abcdef.canarysecret", "glm-4.6v", "glm-4.6v"],
];

for (const [path, apiKey, model, toolModel] of surfaces) {
  const sdk = `openai (Node), ${path}`;
  const client = new OpenAI({ apiKey, baseURL: root + path, maxRetries: 0, timeout: 20000 });
  const user = (...media) => [
    {
      role: "user",
      content: media.length
        ? [...media.map((url) => ({ type: "image_url", image_url: { url } })), { type: "text", text: question }]
        : question,
    },
  ];
  const text = async (messages) => {
    const answer = await client.chat.completions.create({ model, messages });
    if (answer.choices[0].finish_reason !== "stop") throw new Error(JSON.stringify(answer));
    return answer.choices[0].message.content;
  };
  await run(sdk, "plain", async () => wants(await text(user()), asked));
  await run(sdk, "stream", async () => {
    let all = "";
    let finish = null;
    for await (const chunk of await client.chat.completions.create({ model, messages: user(), stream: true })) {
      all += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    if (finish !== "stop") throw new Error(`finish reason ${finish}`);
    wants(all, asked);
  });
  await run(sdk, "base64", async () => {
    wants(await text(user(`data:image/png;base64,${base64}`)), asked, sha256);
  });
  await run(sdk, "bare base64", path === "/api/paas/v4" ? async () => wants(await text(user(base64)), sha256) : null);
  await run(sdk, "link", async () => wants(await text(user(link)), asked, link));
  const calls = async () => {
    const answer = await client.chat.completions.create({ model: toolModel, messages: user(), tools: [tool] });
    const call = answer.choices[0].message.tool_calls[0].function;
    if (call.name !== "count_legs" || !("animal" in JSON.parse(call.arguments))) throw new Error(JSON.stringify(call));
  };
  await run(sdk, "tools", toolModel ? calls : null);
}
