"""Calls one SDK in the ways its users call it, and prints a line of JSON for each: sdk, case, what came of it.

Run by run.py inside its virtual environment: cases.py SDK ROOT, where ROOT is the emulator's address.
"""

import base64
import hashlib
import json
import os
import struct
import sys
import tempfile
import traceback
import zlib

SDK, ROOT = sys.argv[1], sys.argv[2]


def png():
    """A PNG of 32 x 24 px, made here so that the folder holds no picture."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes((10, 200, 30)) * 32 for _ in range(24))
    head = struct.pack(">IIBBBBB", 32, 24, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = png()
BASE64 = base64.b64encode(PNG).decode()
DATA_URI = "data:image/png;base64," + BASE64
LINK = "https://example.com/photo.jpg"
QUESTION = "How many legs?"
ASKED = "You asked: " + QUESTION
SEEN = hashlib.sha256(PNG).hexdigest()
TOOL = {
    "type": "function",
    "function": {
        "name": "count_legs",
        "description": "Counts legs.",
        "parameters": {"type": "object", "properties": {"animal": {"type": "string"}}, "required": ["animal"]},
    },
}


def shown(*wanted):
    """Text, and what must stand in it."""

    def check(text):
        missing = [part for part in wanted if part not in (text or "")]
        if missing:
            raise AssertionError(f"{missing} not in {text!r}")

    return check


PLAIN, PICTURE, LINKED = shown(ASKED), shown(ASKED, SEEN), shown(ASKED, LINK)


def called(calls):
    """A call of the tool, with arguments of its schema."""
    assert calls and calls[0].function.name == "count_legs", calls
    assert "animal" in json.loads(calls[0].function.arguments), calls


def case(sdk, name, run):
    """Runs one case; None means that the SDK has no such thing."""
    try:
        if run is None:
            outcome = "not offered"
        else:
            run()
            outcome = "ok"
    except Exception as error:  # whatever an SDK raises is the finding
        words = " ".join(str(error).split())
        outcome = f"failed: {type(error).__name__}: {words[:300]}"
        traceback.print_exc(file=sys.stderr)
    print(json.dumps({"sdk": sdk, "case": name, "outcome": outcome}), flush=True)


def user(*parts):
    return [{"role": "user", "content": list(parts) if parts else QUESTION}]


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


TEXT = {"type": "text", "text": QUESTION}


def chat_cases(sdk, client, model, tool_model, bare_base64=False):
    """What every client of the chat.completions.create kind can do."""

    def plain(messages, check):
        answer = client.chat.completions.create(model=model, messages=messages)
        assert answer.choices[0].finish_reason == "stop", answer
        assert answer.usage.total_tokens > 0
        check(answer.choices[0].message.content)

    def stream():
        text, finish = "", None
        for chunk in client.chat.completions.create(model=model, messages=user(), stream=True):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
        assert finish == "stop", finish
        PLAIN(text)

    def tools():
        answer = client.chat.completions.create(model=tool_model, messages=user(), tools=[TOOL])
        assert answer.choices[0].finish_reason == "tool_calls", answer
        called(answer.choices[0].message.tool_calls)

    case(sdk, "plain", lambda: plain(user(), PLAIN))
    case(sdk, "stream", stream)
    case(sdk, "base64", lambda: plain(user(image(DATA_URI), TEXT), PICTURE))
    case(sdk, "bare base64", (lambda: plain(user(image(BASE64), TEXT), PICTURE)) if bare_base64 else None)
    case(sdk, "link", lambda: plain(user(image(LINK), TEXT), LINKED))
    case(sdk, "tools", tools if tool_model else None)


def zhipu(module, make):
    key = "0123456789abcdef.canarysecret"
    base = ROOT + "/api/paas/v4"
    chat_cases(module, make(api_key=key, base_url=base), "glm-4.6v", "glm-4.6v", bare_base64=True)

    def signed():
        client = make(api_key=key, base_url=base, disable_token_cache=False)
        answer = client.chat.completions.create(model="glm-4.6v", messages=user())
        PLAIN(answer.choices[0].message.content)

    case(module, "signed token", signed)


def zhipuai():
    from zhipuai import ZhipuAI

    zhipu("zhipuai", ZhipuAI)


def zai():
    from zai import ZhipuAiClient

    zhipu("zai-sdk", ZhipuAiClient)


def dashscope_classic():
    import dashscope

    dashscope.base_http_api_url = ROOT + "/api/v1"
    name, model, key = "dashscope, classic", "qwen3-vl-plus", "sk-canary"

    def ask(**more):
        return dashscope.MultiModalConversation.call(api_key=key, model=model, **more)

    def messages(*parts):
        return [{"role": "user", "content": [*parts, {"text": QUESTION}]}]

    def text(reply):
        assert reply.status_code == 200, (reply.status_code, reply.code, reply.message)
        return "".join(part.get("text", "") for part in reply.output.choices[0].message.content)

    def stream():
        replies = list(ask(messages=messages(), stream=True, incremental_output=True))
        PLAIN("".join(text(reply) for reply in replies))
        assert replies[-1].output.choices[0].finish_reason == "stop"

    def tools():
        choice = ask(messages=messages(), tools=[TOOL]).output.choices[0]
        call = choice.message.tool_calls[0]["function"]
        assert call["name"] == "count_legs" and "animal" in json.loads(call["arguments"]), call

    def upload():
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(PNG)
            file.flush()
            PICTURE(text(ask(messages=messages({"image": "file://" + file.name}))))

    case(name, "plain", lambda: PLAIN(text(ask(messages=messages()))))
    case(name, "stream", stream)
    case(name, "base64", lambda: PICTURE(text(ask(messages=messages({"image": DATA_URI})))))
    case(name, "link", lambda: LINKED(text(ask(messages=messages({"image": LINK})))))
    case(name, "tools", tools)
    case(name, "upload", upload)


def dashscope_2():
    import dashscope

    for protocol, path in [("native", "/api/v1"), ("openai", "/compatible-mode/v1")]:
        client = dashscope.Client(api_key="sk-canary", base_url=ROOT + path, protocol=protocol)
        name, model = f"dashscope 2, {protocol}", "qwen3-vl-plus"

        def ask(messages, client=client, model=model, **more):
            return client.multimodal.chat.create(model=model, messages=messages, **more)

        def plain(messages, check, ask=ask):
            answer = ask(messages)
            assert answer.choices[0].finish_reason == "stop", answer
            check(as_text(answer.choices[0].message.content))

        def stream(ask=ask):
            text = ""
            for chunk in ask(user(), stream=True):
                for choice in chunk.choices:
                    text += as_text(choice.delta.content)
            PLAIN(text)

        def tools(ask=ask):
            called(ask(user(), tools=[TOOL]).choices[0].message.tool_calls)

        def upload(plain=plain):
            with tempfile.NamedTemporaryFile(suffix=".png") as file:
                file.write(PNG)
                file.flush()
                plain(user(image("file://" + file.name), TEXT), PICTURE)

        case(name, "plain", lambda: plain(user(), PLAIN))
        case(name, "stream", stream)
        case(name, "base64", lambda: plain(user(image(DATA_URI), TEXT), PICTURE))
        case(name, "link", lambda: plain(user(image(LINK), TEXT), LINKED))
        case(name, "tools", tools)
        # In the compatible protocol the SDK sends file:// as it is.
        case(name, "upload", upload if protocol == "native" else None)


def as_text(content):
    if content is None or isinstance(content, str):
        return content or ""
    parts = [part if isinstance(part, dict) else part.model_dump() for part in content]
    return "".join(part.get("text") or "" for part in parts)


def qianfan(signed=False):
    for variable in ["QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL"]:
        os.environ[variable] = ROOT
    # The SDK reads its credentials once for a process, so that the two ways need one each.
    if signed:
        os.environ["QIANFAN_ACCESS_KEY"], os.environ["QIANFAN_SECRET_KEY"] = "ALTAK-canary", "canarysecret"
    else:
        os.environ["QIANFAN_BEARER_TOKEN"] = "bce-v3/ALTAK-canary/0f"
    import qianfan as sdk

    name = "qianfan"

    def ask(messages, model="ernie-4.5-turbo-vl", **more):
        return sdk.ChatCompletion(version="2", model=model).do(messages=messages, **more)

    def text(reply):
        assert reply.code == 200, reply
        return reply.body["choices"][0]["message"]["content"]

    def stream():
        pieces = [choice for reply in ask(user(), stream=True) for choice in reply.body["choices"]]
        PLAIN("".join(piece["delta"].get("content") or "" for piece in pieces))

    def tools():
        function = ask(user(), model="ernie-5.0", tools=[TOOL]).body["choices"][0]["message"]["tool_calls"][0]["function"]
        assert function["name"] == "count_legs" and "animal" in json.loads(function["arguments"]), function

    if signed:
        case(name, "signed token", lambda: PLAIN(text(ask(user()))))
        return
    case(name, "plain", lambda: PLAIN(text(ask(user()))))
    case(name, "stream", stream)
    case(name, "base64", lambda: PICTURE(text(ask(user(image(DATA_URI), TEXT)))))
    case(name, "link", lambda: LINKED(text(ask(user(image(LINK), TEXT)))))
    case(name, "tools", tools)


def openai():
    from openai import OpenAI

    surfaces = [
        ("/v1", "any-key", "Qwen2.5-VL-72B-Instruct", None),
        ("/compatible-mode/v1", "sk-canary", "qwen3-vl-plus", "qwen3-vl-plus"),
        ("/v2", "bce-v3/ALTAK-canary/0f", "ernie-4.5-turbo-vl", "ernie-5.0"),
        ("/api/paas/v4", "0123456789abcdef.canarysecret", "glm-4.6v", "glm-4.6v"),
    ]
    for path, key, model, tool_model in surfaces:
        client = OpenAI(api_key=key, base_url=ROOT + path, max_retries=0, timeout=20)
        chat_cases(f"openai (Python), {path}", client, model, tool_model, bare_base64=path == "/api/paas/v4")


{
    "zhipuai": zhipuai,
    "zai-sdk": zai,
    "dashscope classic": dashscope_classic,
    "dashscope 2": dashscope_2,
    "qianfan": qianfan,
    "qianfan signed": lambda: qianfan(signed=True),
    "openai": openai,
}[SDK]()
