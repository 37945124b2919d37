// What an application does with the official SDK; only baseURL and apiKey differ from OpenAI.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const seed = JSON.parse(readFileSync(process.argv[2], "utf8"));
const clientOf = (apiKey) => new OpenAI({ baseURL: `${seed.base_url}/v1`, apiKey, maxRetries: 0 });
const client = clientOf(seed.orgs.pro.api_key);
const model = "gpt-4o-mini";
const messages = [{ role: "user", content: "Why do ships slide down a slipway?" }];

const models = [];
for await (const it of client.models.list()) models.push(it.id);
assert(models.includes(model), models);

const answer = await client.chat.completions.create({ model, messages, max_tokens: 50 });
assert(answer.choices[0].message.content && answer.usage.total_tokens > 0);

const stream = await client.chat.completions.create({
  model,
  messages,
  max_tokens: 50,
  stream: true,
  stream_options: { include_usage: true },
});
let text = "";
let usage = null;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, answer.choices[0].message.content);
assert.equal(usage.total_tokens, answer.usage.total_tokens);

const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
const asked = [{ role: "user", content: "please use the tool" }];
const runner = client.chat.completions.stream({ model, messages: asked, tools, max_tokens: 50 });
const called = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0];
assert.equal(called.function.name, "weather");
assert(JSON.parse(called.function.arguments));

const vector = await client.embeddings.create({ model: "text-embedding-3-small", input: "hello" });
assert(vector.data[0].embedding.length > 0);
const image = await client.images.generate({ model: "gpt-image-1", prompt: "a slipway" });
assert(image.data[0].b64_json || image.data[0].url);

const endpoint = "/v1/chat/completions";
const call = { custom_id: "a", method: "POST", url: endpoint, body: { model, messages, max_tokens: 20 } };
const upload = await OpenAI.toFile(Buffer.from(JSON.stringify(call)), "calls.jsonl");
const file = await client.files.create({ file: upload, purpose: "batch" });
let batch = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: "24h" });
for (const end = Date.now() + 300_000; batch.status === "in_progress" && Date.now() < end; ) {
  await new Promise((resolve) => setTimeout(resolve, 500));
  batch = await client.batches.retrieve(batch.id);
}
assert.equal(batch.status, "completed");
const line = JSON.parse(await (await client.files.content(batch.output_file_id)).text());
assert(line.response.body.choices[0].message.content);
await assert.rejects(client.batches.cancel(batch.id), OpenAI.ConflictError);

await assert.rejects(
  client.chat.completions.create({ model: "gpt-unpriced", messages }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "unknown_model",
);
await assert.rejects(
  clientOf("slip_wrong").chat.completions.create({ model, messages }),
  (error) => error instanceof OpenAI.AuthenticationError && typeof error.code === "string",
);
console.log("the official OpenAI SDK for JavaScript: models, chat, tools, streams, embeddings, images, batches, errors: 1 passed, 0 failed");
