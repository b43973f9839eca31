"""A server of the chat-completions shape whose models answer what the cases need and the emulator does not say."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OBJECTS = '[{"bbox_2d": [100, 200, 500, 900], "label": "cat"}, {"bbox_2d": [620, 80, 1040, 400], "label": "lamp"}]'
HOSTILE = '<img src="https://h.example/x.png" onerror="document.title=1"><script>document.title=2</script> ' \
    "[click](javascript:document.title=3) **<b>bold</b>**\n\n```html\n<iframe src=https://h.example></iframe>\n```\n"
MARKDOWN = """# Seen

A **cat** and `2` more:

- an ear
- a paw

1. first
2. second

```json
{"legs": 4}
```

Done."""


def texts(model):
    """The pieces of an answer, and the pause after each in seconds."""
    if model == "slow":
        return (f"word {index} " for index in range(600)), 0.05
    if model == "endless":
        return ("again and again " * 1000 for _ in range(100)), 0
    whole = {
        "boxes": f"Here they are:\n```json\n{OBJECTS}\n```",
        "marks": "<|begin_of_box|>[[250, 250, 750, 750]]<|end_of_box|>",
        "hostile": HOSTILE,
        "markdown": MARKDOWN,
        "breaks": "The first half of an answer",
        "thinks": "Four.",
    }[model]
    return (whole[start:start + 7] for start in range(0, len(whole), 7)), 0.005


class Upstream(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """The cases say what matters."""

    def do_POST(self):
        """Answers with a stream by the name of the model."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            self.answer(body["model"])
        except (BrokenPipeError, ConnectionResetError):
            pass  # The client has hung up, as some cases want it.
        self.close_connection = True

    def answer(self, model):
        """The frames of one answer."""
        if model == "thinks":
            self.delta({"reasoning_content": "A cat has two legs in front and two behind."})
        pieces, pause = texts(model)
        for piece in pieces:
            self.delta({"content": piece})
            time.sleep(pause)
        if model == "breaks":
            return self.frame({"error": {"message": "the model has stopped", "code": "1234"}})
        self.delta({}, finish_reason="stop")
        usage = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}
        self.chunk([], usage=usage)
        self.event("[DONE]")

    def delta(self, delta, finish_reason=None):
        """One frame with a delta."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        self.chunk([choice])

    def chunk(self, choices, **more):
        """One chunk of the shape."""
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        self.frame({**head, "choices": choices, **more})

    def frame(self, value):
        """One frame."""
        self.event(json.dumps(value))

    def event(self, data):
        """One event of the stream."""
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


MODELS = ["slow", "endless", "boxes", "marks", "hostile", "markdown", "breaks", "thinks"]


def config(port, key):
    """A config file of the gateway with a role for each model."""
    roles = "".join(f'\n[roles.{model}]\nprovider = "scripted"\nmodel = "{model}"\n' for model in ["slower", *MODELS])
    roles = roles.replace('model = "slower"', 'model = "slow"')
    return (
        f'[[gateway.keys]]\nname = "page"\nkey = "{key}"\n\n'
        f'[providers.scripted]\nbackend = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\n{roles}'
    )


def started():
    """The server on a free port of loopback, in a thread that ends with the program."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
