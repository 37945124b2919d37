// What an application does with the official SDK; only baseURL and apiKey differ from Anthropic.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";

const seed = JSON.parse(readFileSync(process.argv[2], "utf8"));
const client = new Anthropic({ baseURL: seed.base_url, apiKey: seed.orgs.pro.api_key, maxRetries: 0 });
const messages = [{ role: "user", content: "Why do ships slide down a slipway?" }];
const tools = [{ name: "look_up", input_schema: { type: "object" } }];

for (const model of ["claude-haiku-4-5", "gpt-4o-mini"]) {
  const ask = { model, max_tokens: 50, messages };
  const answer = await client.messages.create(ask);
  assert.equal(answer.stop_reason, "end_turn");

  const stream = client.messages.stream(ask);
  let text = "";
  stream.on("text", (delta) => (text += delta));
  const last = await stream.finalMessage();
  assert.equal(text, answer.content[0].text);
  assert.equal(last.usage.output_tokens, answer.usage.output_tokens);

  const asked = { model, max_tokens: 50, tools, messages: [{ role: "user", content: "use the tool" }] };
  const called = await client.messages.create(asked);
  assert.deepEqual(called.content[0].input, { input: "use the tool" });
  const streamed = await client.messages.stream(asked).finalMessage();
  assert.deepEqual(streamed.content[0].input, called.content[0].input);
}

await assert.rejects(
  client.messages.create({ model: "claude-unpriced", max_tokens: 5, messages }),
  (error) => error instanceof Anthropic.NotFoundError && error.error.error.type === "not_found_error",
);

console.log("the official Anthropic SDK for JavaScript: messages, streams, tools, errors: 1 passed, 0 failed");
