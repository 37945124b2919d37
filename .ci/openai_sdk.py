"""What an application does with the official SDK; only base_url and api_key differ from OpenAI."""

import json
import sys
import time

import openai

seed = json.load(open(sys.argv[1]))
pro = seed["orgs"]["pro"]
client = openai.OpenAI(base_url=seed["base_url"] + "/v1", api_key=pro["api_key"], max_retries=0)
messages = [{"role": "user", "content": "Why do ships slide down a slipway?"}]

models = [model.id for model in client.models.list()]
assert "gpt-4o-mini" in models, models
assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"

answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=50)
assert answer.choices[0].message.content and answer.usage.total_tokens > 0, answer

chunks = list(
    client.chat.completions.create(
        model="gpt-4o-mini",
        messages=messages,
        max_tokens=50,
        stream=True,
        stream_options={"include_usage": True},
    )
)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == answer.choices[0].message.content, (text, answer)
assert chunks[-1].usage.total_tokens == answer.usage.total_tokens, chunks[-1]

plain = client.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=50, stream=True)
assert all(chunk.choices for chunk in plain), "a usage chunk that nobody asked for"

weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"input": {"type": "string"}}},
    },
}
asked = [{"role": "user", "content": "please use the tool"}]
call = client.chat.completions.create(model="gpt-4o-mini", messages=asked, tools=[weather], max_tokens=50)
assert call.choices[0].finish_reason == "tool_calls", call
tool = call.choices[0].message.tool_calls[0]
assert tool.function.name == "weather" and json.loads(tool.function.arguments), tool
told = asked + [call.choices[0].message, {"role": "tool", "tool_call_id": tool.id, "content": "sunny"}]
assert client.chat.completions.create(model="gpt-4o-mini", messages=told, max_tokens=50).choices
arguments = "".join(
    chunk.choices[0].delta.tool_calls[0].function.arguments or ""
    for chunk in client.chat.completions.create(
        model="gpt-4o-mini", messages=asked, tools=[weather], max_tokens=50, stream=True
    )
    if chunk.choices and chunk.choices[0].delta.tool_calls
)
assert json.loads(arguments) == json.loads(tool.function.arguments), arguments

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOQy78JAAIVAWfnZdaRAAAAAElFTkSuQmCC"
seen = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ],
    }
]
assert client.chat.completions.create(model="gpt-4o-mini", messages=seen, max_tokens=20).choices
form = {"type": "json_object"}
assert client.chat.completions.create(
    model="gpt-4o-mini", messages=messages, response_format=form, max_tokens=20
).choices

raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages, max_tokens=20)
assert raw.headers["x-slipway-provider"] == "openai" and raw.headers["x-slipway-model"], raw.headers
assert raw.parse().choices

vector = client.embeddings.create(model="text-embedding-3-small", input="hello")
assert len(vector.data[0].embedding) > 0
image = client.images.generate(model="gpt-image-1", prompt="a slipway")
assert image.data[0].b64_json or image.data[0].url

calls = [
    {
        "custom_id": f"call-{n}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": messages, "max_tokens": 20},
    }
    for n, model in enumerate(["gpt-4o-mini", "gpt-unpriced", "gpt-4o-mini"])
]
content = "\n".join(json.dumps(call) for call in calls).encode()
file = client.files.create(file=("calls.jsonl", content), purpose="batch")
assert client.files.content(file.id).content == content
batch = client.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"run": "CI"}
)
deadline = time.monotonic() + 300
while batch.status == "in_progress" and time.monotonic() < deadline:
    time.sleep(0.5)
    batch = client.batches.retrieve(batch.id)
counts = batch.request_counts
assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", 3, 2, 1), batch
answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
assert [it["custom_id"] for it in answers] == ["call-0", "call-2"], answers
assert answers[0]["response"]["body"]["choices"][0]["message"]["content"], answers
refused = json.loads(client.files.content(batch.error_file_id).text)
assert refused["response"]["body"]["error"]["code"] == "unknown_model", refused
assert batch.id in [it.id for it in client.batches.list(limit=1)]
assert {file.id, batch.output_file_id} <= {it.id for it in client.files.list(limit=1)}
assert client.files.delete(file.id).deleted

try:
    client.chat.completions.create(model="gpt-unpriced", messages=messages)
    raise AssertionError("an unpriced model was called")
except openai.NotFoundError as error:
    assert error.code == "unknown_model", error

try:
    openai.OpenAI(base_url=seed["base_url"] + "/v1", api_key="slip_wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.body["code"], error

free = openai.OpenAI(base_url=seed["base_url"] + "/v1", api_key=seed["orgs"]["free"]["api_key"], max_retries=0)
try:
    for _ in range(6):
        free.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=5)
    raise AssertionError("the free plan was not used up")
except openai.RateLimitError as error:
    assert error.code == "quota_exhausted", error

print("the official OpenAI SDK for Python: models, chat, tools, pictures, JSON, streams with usage, embeddings, images, batches, errors: 1 passed, 0 failed")
