#!/usr/bin/env python3
"""Has clients of chat completions, unmodified, served by the gateway over the emulator, and prints a table of what came of it.

Exit status: 0 if all passed, 1 if any failed, 2 if nothing could be run, 77 if no client can be installed here.
"""

import argparse
import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tools  # noqa: E402

NPM = ["openai@6.49.0", "ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92", "axios@1.21.1"]
PYTHON_CLIENTS = ["openai (Python)", "LiteLLM", "LangChain"]
CASES = [
    "text", "picture", "pictures", "stream", "tools", "JSON", "reasoning", "errors", "no balance", "abort", "models",
]  # fmt: skip
PICTURE = tools.ROOT / "examples" / "media" / "coffee.jpg"
KEYS = {"GATEWAY_KEY": "clients-canary-key", "NARROW_KEY": "narrow-canary-key"}
# LiteLLM would fetch its list of prices otherwise, and its proxy wants a key that is longer than those of a test.
LITELLM = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
VARIABLES = {**KEYS, **LITELLM}
# Through LiteLLM's proxy: its own errors and its own list of models are not the gateway's.
THROUGH_LITELLM = "text,picture,pictures,stream,tools,JSON,reasoning,abort"
ROLES = ["zhipu", "qwen", "ernie", "thinking", "slow"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, help="a virtual environment to use, or to make and keep")
    parser.add_argument("--proxy-venv", type=Path, help="the same for LiteLLM's proxy")
    parser.add_argument("--npm", type=Path, help="a folder with the npm packages to use, or to make and keep")
    parser.add_argument("--install-timeout", type=int, default=400, help="seconds for each installer (default: 400)")
    return parser.parse_args()


@contextmanager
def litellm_proxy(python, folder, gateway):
    """LiteLLM's proxy in front of a gateway; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    upstream = {"api_base": gateway + "/v1", "api_key": "os.environ/GATEWAY_KEY"}
    models = [{"model_name": role, "litellm_params": {"model": f"openai/{role}", **upstream}} for role in ROLES]
    config = folder / "litellm.yaml"
    # JSON is YAML too.
    settings = {"litellm_settings": {"num_retries": 0}, "general_settings": {"master_key": "os.environ/GATEWAY_KEY"}}
    config.write_text(json.dumps({"model_list": models, **settings}))
    log = (folder / "litellm.log").open("w")
    command = [python.parent / "litellm", "--host", "127.0.0.1", "--port", str(port), "--config", config]
    server = subprocess.Popen(command, stdout=log, stderr=log, env=tools.environment(**VARIABLES))
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address + "/health/liveliness", server)
        yield address
    finally:
        # This very process, and no other.
        server.terminate()
        server.wait(timeout=60)


def wait_for(url, server, seconds=120):
    """Waits until a server answers."""
    until = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("LiteLLM's proxy did not start")


def program_cases(name, command, address):
    """A program without a library: text, a picture, and errors by their status."""
    picture = PICTURE.read_bytes()
    sha256 = hashlib.sha256(picture).hexdigest()
    url, key = address + "/v1/chat/completions", KEYS["GATEWAY_KEY"]
    uri = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
    part = {"type": "image_url", "image_url": {"url": uri}}

    def ask(model, content, key=key):
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": content}]})
        return subprocess.run([*command, url, key, body], capture_output=True, text=True, timeout=60).stdout

    def check(case, *wanted):
        missing = [(words, output[:200]) for output, *all_words in wanted for words in all_words if words not in output]
        return {"client": name, "case": case, "outcome": f"failed: {missing}" if missing else "ok"}

    return [
        check("text", (ask("zhipu", "How many legs?"), "200", "How many legs?")),
        # This picture's base64 takes 36 KB; one argument of a command line has at most 128 KiB on Linux.
        check("picture", (ask("zhipu", [part, {"type": "text", "text": "What is this?"}]), "200", sha256)),
        check(
            "errors",
            (ask("zhipu", "Hello", key="wrong"), "401"),
            (ask("throttled", "Hello"), "429"),
            (ask("no_balance", "Hello"), "402"),
            (ask("quen", "Hello"), "404", "qwen"),
        ),
    ]


def compiled(folder):
    """The programs in other languages that can be run here: name and command."""
    programs = []
    if shutil.which("curl"):
        script = 'curl -s -w "\\n%{http_code}\\n" -H "authorization: Bearer $2" -H "content-type: application/json" -d "$3" "$1"'
        programs.append(("curl", ["sh", "-c", script, "curl"]))
    if shutil.which("go"):
        target = folder / "ask"
        environment = {"GOCACHE": str(folder / "go"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        command = ["go", "build", "-o", target, HERE / "programs" / "ask.go"]
        subprocess.run(command, check=True, env={**os.environ, **environment})
        programs.append(("Go", [target]))
    if shutil.which("java"):
        programs.append(("Java", ["java", HERE / "programs" / "Ask.java"]))
    return programs


def asked(folder, python, npm, proxy_python):
    """Starts the emulator, a gateway over it and a gateway over that gateway; runs all cases against both."""
    programs = tools.built("polysight-cli", "polysight-emulator")
    found = []
    with ExitStack() as stack:
        def started(*command, **variables):
            return stack.enter_context(tools.serving(command, **variables))

        vendors = started(programs["polysight-emulator"])
        serve = [programs["polysight"], "serve", "--listen", "127.0.0.1:0", "--config"]
        announced = {"prefix": "listening on ", **VARIABLES}
        first = started(*serve, HERE / "gateway.toml", EMULATOR=vendors, **announced)
        second = started(*serve, HERE / "upstream.toml", FIRST=first, **announced)
        cases = [python, HERE / "cases.py"]
        for address, suffix in ((first, ""), (second, ", two gateways")):
            for client in PYTHON_CLIENTS if python else []:
                found += tools.outcomes(client, [*cases, client + suffix, address, vendors], folder, **VARIABLES)
            if npm:
                found += tools.outcomes("npm", ["node", "cases.mjs", suffix, address, vendors], npm, **VARIABLES)
        if python and proxy_python:
            proxy = stack.enter_context(litellm_proxy(proxy_python, folder, first))
            third = started(*serve, HERE / "upstream.toml", FIRST=proxy, **announced)
            for address, suffix in ((proxy, ", LiteLLM's proxy"), (third, ", gateway, LiteLLM's proxy")):
                client = PYTHON_CLIENTS[0] + suffix
                found += tools.outcomes(client, [*cases, client, address, vendors, THROUGH_LITELLM], folder, **VARIABLES)
        for name, command in compiled(folder):
            found += program_cases(name, command, first)
    return found


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="gateway-clients-") as name:
        folder = Path(name)
        python = tools.python_with(options.venv or folder / "venv", HERE / "requirements.txt", options.install_timeout)
        npm = tools.npm_with(options.npm or folder / "npm", NPM, options.install_timeout)
        if npm:
            shutil.copy(HERE / "cases.mjs", npm)
        if not (python or npm):
            print("The clients cannot be installed here: nothing was tested.")
            return tools.CANNOT_INSTALL
        requirements = HERE / "proxy-requirements.txt"
        proxy = tools.python_with(options.proxy_venv or folder / "proxy", requirements, options.install_timeout)
        if not proxy:
            print("LiteLLM's proxy cannot be installed here: its cases are left out")
        try:
            found = asked(folder, python, npm, proxy)
        except RuntimeError as error:
            print(error)
            return 2
    passed, failed = tools.table(found, CASES)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
