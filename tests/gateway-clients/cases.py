"""Calls the gateway by one client in the ways its users call it, and prints a line of JSON for each case.

Run by run.py inside its virtual environment: cases.py CLIENT GATEWAY EMULATOR [CASES], both as http://ADDRESS.
"""

import base64
import hashlib
import json
import os
import struct
import sys
import traceback
import urllib.request
import zlib

CLIENT, GATEWAY, EMULATOR = sys.argv[1:4]
CHOSEN = sys.argv[4].split(",") if len(sys.argv) > 4 else None
BASE = GATEWAY + "/v1"
KEY, NARROW_KEY = os.environ["GATEWAY_KEY"], os.environ["NARROW_KEY"]
QUESTION = "How many legs?"
VALUE = {"animal": "cat", "legs": 4}
SCHEMA = {
    "type": "object",
    "properties": {"animal": {"type": "string"}, "legs": {"type": "integer"}},
    "required": ["animal", "legs"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "count_legs",
        "description": "Counts legs.",
        "parameters": {"type": "object", "properties": {"animal": {"type": "string"}}, "required": ["animal"]},
    },
}


def png(colour):
    """A PNG of 32 x 24 px of one colour."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(colour) * 32 for _ in range(24))
    head = struct.pack(">IIBBBBB", 32, 24, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURES = [png((10, 200, 30)), png((200, 10, 30))]
URIS = ["data:image/png;base64," + base64.b64encode(picture).decode() for picture in PICTURES]
HASHES = [hashlib.sha256(picture).hexdigest() for picture in PICTURES]


def user(*uris):
    pictures = [{"type": "image_url", "image_url": {"url": uri, "detail": "high"}} for uri in uris]
    return {"role": "user", "content": [*pictures, {"type": "text", "text": QUESTION}] if uris else QUESTION}


def has(text, *wanted):
    missing = [part for part in wanted if part not in (text or "")]
    assert not missing, f"{missing} not in {text!r}"


def is_value(text):
    assert json.loads(text) == VALUE, text


def prepare(answer):
    """Has the emulator's next answer be this one."""
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(EMULATOR + "/polysight/answers", data=body)).read()


def fails(kind, call, *words):
    """The call must raise this kind of error, with these words in it."""
    try:
        answer = call()
    except kind as error:
        has(str(error), *words)
        return error
    raise AssertionError(f"no {kind.__name__}: {answer!r}")


def case(name, run):
    if CHOSEN and name not in CHOSEN:
        return
    try:
        run()
        outcome = "ok"
    except Exception as error:  # whatever a client raises is the finding
        words = " ".join(str(error).split())
        outcome = f"failed: {type(error).__name__}: {words[:300]}"
        traceback.print_exc(file=sys.stderr)
    print(json.dumps({"client": CLIENT, "case": name, "outcome": outcome}), flush=True)


def openai_cases():
    import openai

    requests = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [requests.append]})

    def client(key=KEY, retries=0):
        return openai.OpenAI(api_key=key, base_url=BASE, max_retries=retries, timeout=20, http_client=http)

    def ask(*messages, model="zhipu", key=KEY, **settings):
        return client(key).chat.completions.create(model=model, messages=list(messages or [user()]), **settings)

    def text(answer):
        assert answer.choices[0].finish_reason == "stop", answer
        assert answer.usage.total_tokens > 0, answer
        return answer.choices[0].message.content

    def several_roles():
        for role in ("zhipu", "qwen", "ernie"):
            has(text(ask(user(*URIS[:1]), model=role)), HASHES[0], QUESTION)

    def stream():
        options = {"include_usage": True}
        answer, finish, usage = "", None, None
        for chunk in ask(user(*URIS[:1]), model="qwen", stream=True, stream_options=options):
            for choice in chunk.choices:
                answer += choice.delta.content or ""
                finish = choice.finish_reason or finish
            usage = chunk.usage or usage
        assert finish == "stop" and usage.total_tokens > 0, (finish, usage)
        has(answer, HASHES[0], QUESTION)

    def tools():
        for stream in (False, True):
            call = streamed_call() if stream else ask(tools=[TOOL]).choices[0].message.tool_calls[0]
            name, arguments, identity = call if stream else (call.function.name, call.function.arguments, call.id)
            assert name == "count_legs" and "animal" in json.loads(arguments), (name, arguments)
            called = {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
            said = {"role": "assistant", "content": None, "tool_calls": [called]}
            result = {"role": "tool", "tool_call_id": identity, "content": "four"}
            prepare({"text": "It has four."})
            has(text(ask(user(), said, result, tools=[TOOL])), "four")

    def streamed_call():
        name, arguments, identity = "", "", ""
        for chunk in ask(tools=[TOOL], stream=True):
            for choice in chunk.choices:
                for piece in choice.delta.tool_calls or []:
                    name += piece.function.name or ""
                    arguments += piece.function.arguments or ""
                    identity = piece.id or identity
        return name, arguments, identity

    def json_answers():
        named = {"name": "animal", "schema": SCHEMA, "strict": True}
        for role in ("zhipu", "qwen", "ernie"):
            for form in ({"type": "json_object"}, {"type": "json_schema", "json_schema": named}):
                prepare({"json": VALUE})
                question = {"role": "user", "content": "Answer in JSON. " + QUESTION}
                is_value(text(ask(question, model=role, response_format=form)))

    def reasoning():
        message = ask(model="thinking").choices[0].message
        assert message.reasoning_content and message.content, message
        deltas = [chunk.choices[0].delta for chunk in ask(model="thinking", stream=True) if chunk.choices]
        assert any(getattr(delta, "reasoning_content", None) for delta in deltas), deltas

    def errors():
        throttled = fails(openai.RateLimitError, lambda: ask(model="throttled"))
        assert throttled.status_code == 429 and throttled.type == "rate_limit_error", throttled
        fails(openai.InternalServerError, lambda: ask(model="overloaded"))
        fails(openai.AuthenticationError, lambda: ask(key="wrong"))
        fails(openai.NotFoundError, lambda: ask(key=NARROW_KEY), "ernie")
        fails(openai.NotFoundError, lambda: ask(model="quen"), "qwen")
        refused = fails(openai.BadRequestError, lambda: ask(top_p=5, max_tokens=10**9), "top_p", "max_tokens")
        assert refused.code, refused.body
        fails(openai.BadRequestError, lambda: ask(n=3), "n")
        fails(openai.APIError, lambda: list(ask(model="broken", stream=True)))

    def no_balance():
        requests.clear()
        create = client(retries=2).chat.completions.create
        fails(openai.APIStatusError, lambda: create(model="no_balance", messages=[user()]))
        assert len(requests) == 1, f"{len(requests)} requests"

    def abort():
        answer = ask(model="slow", stream=True)
        next(iter(answer))
        answer.close()
        has(text(ask()), QUESTION)

    def models():
        listed = {model.id for model in client().models.list()}
        assert {"zhipu", "qwen", "ernie"} <= listed, listed
        assert client().models.retrieve("qwen").id == "qwen"

    case("text", lambda: has(text(ask()), QUESTION))
    case("picture", several_roles)
    case("pictures", lambda: has(text(ask(user(*URIS), model="qwen")), *HASHES))
    case("stream", stream)
    case("tools", tools)
    case("JSON", json_answers)
    case("reasoning", reasoning)
    case("errors", errors)
    case("no balance", no_balance)
    case("abort", abort)
    case("models", models)


def litellm_cases():
    import litellm

    litellm.suppress_debug_info = True

    def ask(*messages, model="zhipu", key=KEY, **settings):
        return litellm.completion(
            model="openai/" + model, messages=list(messages or [user()]), api_base=BASE, api_key=key,
            num_retries=0, max_retries=0, **settings,
        )  # fmt: skip

    def text(answer):
        return answer.choices[0].message.content

    def stream():
        chunks = list(ask(user(*URIS[:1]), model="qwen", stream=True, stream_options={"include_usage": True}))
        has("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), HASHES[0])
        assert any(getattr(chunk, "usage", None) for chunk in chunks)

    def tools():
        call = ask(tools=[TOOL]).choices[0].message.tool_calls[0]
        assert call.function.name == "count_legs", call
        prepare({"text": "It has four."})
        said = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
        result = {"role": "tool", "tool_call_id": call.id, "content": "four"}
        has(text(ask(user(), said, result, tools=[TOOL])), "four")

    def json_answer():
        prepare({"json": VALUE})
        is_value(text(ask(model="ernie", response_format={"type": "json_object"})))

    def reasoning():
        assert ask(model="thinking").choices[0].message.reasoning_content

    def errors():
        fails(litellm.RateLimitError, lambda: ask(model="throttled"))
        fails(litellm.AuthenticationError, lambda: ask(key="wrong"))
        fails(litellm.NotFoundError, lambda: ask(model="quen"), "qwen")
        fails(litellm.BadRequestError, lambda: ask(top_p=5), "top_p")
        fails(Exception, lambda: list(ask(model="broken", stream=True)))

    case("text", lambda: has(text(ask()), QUESTION))
    case("picture", lambda: has(text(ask(user(*URIS[:1]), model="ernie")), HASHES[0]))
    case("pictures", lambda: has(text(ask(user(*URIS), model="qwen")), *HASHES))
    case("stream", stream)
    case("tools", tools)
    case("JSON", json_answer)
    case("reasoning", reasoning)
    case("errors", errors)


def langchain_cases():
    import openai
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    def chat(model="zhipu", key=KEY, **settings):
        return ChatOpenAI(model=model, base_url=BASE, api_key=key, max_retries=0, timeout=20, **settings)

    def message(*uris):
        return HumanMessage(content=user(*uris)["content"])

    def stream():
        chunks = list(chat("qwen", stream_usage=True).stream([message(*URIS[:1])]))
        has("".join(chunk.content for chunk in chunks), HASHES[0])
        assert any(chunk.usage_metadata for chunk in chunks)

    def tools():
        bound = chat().bind_tools([TOOL])
        asked = [message()]
        said = bound.invoke(asked)
        assert said.tool_calls[0]["name"] == "count_legs", said
        prepare({"text": "It has four."})
        result = ToolMessage("four", tool_call_id=said.tool_calls[0]["id"])
        has(bound.invoke([*asked, said, result]).content, "four")

    def json_answer():
        for method in ("json_mode", "json_schema"):
            prepare({"json": VALUE})
            schema = {"title": "animal", "description": "An animal.", **SCHEMA}
            answer = chat("qwen").with_structured_output(schema, method=method).invoke("Answer in JSON. " + QUESTION)
            assert answer == VALUE, answer

    def errors():
        fails(openai.RateLimitError, lambda: chat("throttled").invoke("hi"))
        fails(openai.AuthenticationError, lambda: chat(key="wrong").invoke("hi"))
        fails(openai.NotFoundError, lambda: chat("quen").invoke("hi"), "qwen")
        fails(Exception, lambda: list(chat("broken").stream("hi")))

    case("text", lambda: has(chat().invoke([message()]).content, QUESTION))
    case("picture", lambda: has(chat("ernie").invoke([message(*URIS[:1])]).content, HASHES[0]))
    case("pictures", lambda: has(chat("qwen").invoke([message(*URIS)]).content, *HASHES))
    case("stream", stream)
    case("tools", tools)
    case("JSON", json_answer)
    case("errors", errors)


{"openai (Python)": openai_cases, "LiteLLM": litellm_cases, "LangChain": langchain_cases}[CLIENT.split(",")[0]]()
