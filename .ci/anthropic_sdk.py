"""What an application does with the official SDK; only base_url and api_key differ from Anthropic."""

import json
import sys

import anthropic

seed = json.load(open(sys.argv[1]))
client = anthropic.Anthropic(base_url=seed["base_url"], api_key=seed["orgs"]["pro"]["api_key"], max_retries=0)
question = [{"role": "user", "content": "Why do ships slide down a slipway?"}]
tools = [{"name": "look_up", "description": "Looks it up", "input_schema": {"type": "object"}}]

for model in ["claude-haiku-4-5", "gpt-4o-mini"]:
    ask = {"model": model, "max_tokens": 50, "messages": question}
    answer = client.messages.create(**ask, system="Be brief.", stop_sequences=["never"])
    assert answer.type == "message" and answer.stop_reason == "end_turn", answer
    assert answer.content[0].text and answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer

    with client.messages.stream(**ask, system="Be brief.") as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert text == answer.content[0].text == last.content[0].text, (text, answer)
    assert last.usage.output_tokens == answer.usage.output_tokens, last
    assert last.stop_reason == "end_turn", last

    events = list(client.messages.create(**ask, stream=True))
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop"), events

    asked = [{"role": "user", "content": "use the tool"}]
    called = client.messages.create(model=model, max_tokens=50, messages=asked, tools=tools)
    assert called.stop_reason == "tool_use" and called.content[0].input == {"input": "use the tool"}, called
    result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": "42"}
    told = asked + [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    client.messages.create(model=model, max_tokens=50, messages=told, tools=tools)
    with client.messages.stream(model=model, max_tokens=50, messages=asked, tools=tools) as stream:
        assert stream.get_final_message().content[0].input == called.content[0].input

    image = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    seen = [{"role": "user", "content": [{"type": "image", "source": image}, {"type": "text", "text": "see"}]}]
    client.messages.create(model=model, max_tokens=50, messages=seen)

    count = client.messages.count_tokens(model=model, messages=question)
    assert 0 < count.input_tokens < 100, count

instructions = [{"type": "text", "text": "Be brief. " * 200, "cache_control": {"type": "ephemeral"}}]
for read in [False, True]:
    cached = client.messages.create(
        model="claude-haiku-4-5", max_tokens=50, messages=question, system=instructions
    )
    usage = cached.usage
    assert (usage.cache_read_input_tokens > 0) is read, usage
    assert (usage.cache_creation_input_tokens > 0) is not read, usage

thinking = {"type": "enabled", "budget_tokens": 1024}
thought = client.messages.create(model="claude-haiku-4-5", max_tokens=2048, messages=question, thinking=thinking)
assert [block.type for block in thought.content] == ["thinking", "text"], thought

try:
    client.messages.create(model="claude-unpriced", max_tokens=5, messages=question)
    raise AssertionError("an unpriced model was called")
except anthropic.NotFoundError as error:
    assert error.body["type"] == "error" and error.body["error"]["type"] == "not_found_error", error.body

try:
    client.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=question, service_tier="auto")
    raise AssertionError("a dearer tier was passed on")
except anthropic.UnprocessableEntityError as error:
    assert "service_tier" in error.body["error"]["message"], error.body

try:
    wrong = anthropic.Anthropic(base_url=seed["base_url"], api_key="slip_wrong", max_retries=0)
    wrong.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=question)
    raise AssertionError("a wrong key was accepted")
except anthropic.AuthenticationError:
    pass

free = anthropic.Anthropic(base_url=seed["base_url"], api_key=seed["orgs"]["free"]["api_key"], max_retries=0)
try:
    for _ in range(6):
        free.messages.create(model="gpt-4o-mini", max_tokens=5, messages=question)
    raise AssertionError("the free plan was not used up")
except anthropic.RateLimitError as error:
    assert error.body["error"]["type"] == "rate_limit_error", error.body

print("the official Anthropic SDK for Python: messages, streams, tools, images, thinking, prompt caching, counts, errors: 1 passed, 0 failed")
