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
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NPM = ["openai@6.49.0", "ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92", "axios@1.21.1"]
PYTHON_CLIENTS = ["openai (Python)", "LiteLLM", "LangChain"]
CASES = [
    "text", "picture", "pictures", "stream", "tools", "JSON", "reasoning", "errors", "no balance", "abort", "models",
]  # fmt: skip
PICTURE = ROOT / "examples" / "media" / "coffee.jpg"
KEYS = {"GATEWAY_KEY": "clients-canary-key", "NARROW_KEY": "narrow-canary-key"}
CANNOT_INSTALL = 77


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, help="a virtual environment to use, or to make and keep")
    parser.add_argument("--npm", type=Path, help="a folder with the npm packages to use, or to make and keep")
    parser.add_argument("--install-timeout", type=int, default=400, help="seconds for each installer (default: 400)")
    return parser.parse_args()


def built():
    """Builds the two programs; gives the paths of the command and of the emulator."""
    command = ["cargo", "build", "-p", "polysight-cli", "-p", "polysight-emulator", "--locked", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    programs = [Path(message["executable"]) for message in messages if message.get("executable")]
    by_name = {program.name: program for program in programs}
    return by_name["polysight"], by_name["polysight-emulator"]


def installed(what, command, cwd, timeout):
    """Whether an installer did its work; the reason is printed where it did not."""
    try:
        run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        print(f"{what} did not finish within {timeout} s")
        return False
    if run.returncode != 0:
        print(f"{what}:", *run.stderr.strip().splitlines()[-3:], sep="\n  ")
    return run.returncode == 0


def python_with_clients(folder, timeout):
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
    return python if installed("pip", command, None, timeout) else None


def node_with_clients(folder, timeout):
    if not (shutil.which("node") and shutil.which("npm")):
        print("node or npm is not here: their clients are left out")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", *NPM]
    if not installed("npm", command, folder, timeout):
        return None
    shutil.copy(HERE / "cases.mjs", folder)
    return folder


def clean_environment():
    """Neither keys nor proxies of this machine: nothing may leave it."""
    names = ("_PROXY", "_API_KEY", "_BASE_URL")
    kept = {key: value for key, value in os.environ.items() if not key.upper().endswith(names)}
    return {**kept, **KEYS, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "RUST_LOG": "warn"}


def started(stack, command, prefix, **environment):
    """Starts a server that is ended with the stack, and gives the address that its first line names."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**clean_environment(), **environment})
    # This very process, and no other.
    stack.callback(lambda: (server.terminate(), server.wait(timeout=40)))
    first = server.stdout.readline().strip()
    if not first.startswith(prefix + "http://127.0.0.1:"):
        raise RuntimeError(f"{command[0]} did not start: {first!r}")
    return "/".join(first.removeprefix(prefix).split("/")[:3])


def outcomes(client, command, cwd):
    """Runs one program of cases; one that breaks off is a failure too."""
    try:
        run = subprocess.run(command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=180)
        output, code, errors = run.stdout, run.returncode, run.stderr
    except subprocess.TimeoutExpired as late:
        output, code, errors = (late.stdout or b"").decode(), 1, "it did not finish within 180 s"
    found = [json.loads(line) for line in output.splitlines() if line.startswith('{"client"')]
    if code != 0 or not found:
        last = (errors.strip().splitlines() or ["no output"])[-1]
        found.append({"client": client, "case": "all", "outcome": f"failed: {last[:300]}"})
    return found


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


def table(found):
    """Prints the table and the failures; gives the numbers of passed and failed cases."""
    clients = list(dict.fromkeys(row["client"] for row in found))
    cells = {(row["client"], row["case"]): row["outcome"] for row in found}
    failures = [row for row in found if row["outcome"].startswith("failed")]
    print("\n| client |", " | ".join(CASES), "|")
    print("|---" * (len(CASES) + 1) + "|")
    for client in clients:
        row = [cells.get((client, case), "-").split(":")[0] for case in CASES]
        print(f"| {client} |", " | ".join(row), "|")
    print()
    for row in failures:
        print(f"{row['client']}, {row['case']}: {row['outcome']}")
    passed = sum(row["outcome"] == "ok" for row in found)
    print(f"{passed} passed, {len(failures)} failed")
    return passed, len(failures)


def asked(folder, python, npm):
    """Starts the emulator, a gateway over it and a gateway over that gateway; runs all cases against both."""
    polysight, emulator = built()
    found = []
    with ExitStack() as stack:
        vendors = started(stack, [emulator], "")
        serve = [polysight, "serve", "--listen", "127.0.0.1:0", "--config"]
        first = started(stack, [*serve, HERE / "gateway.toml"], "listening on ", EMULATOR=vendors)
        second = started(stack, [*serve, HERE / "upstream.toml"], "listening on ", FIRST=first)
        for address, suffix in ((first, ""), (second, ", two gateways")):
            for client in PYTHON_CLIENTS if python else []:
                found += outcomes(client, [python, HERE / "cases.py", client + suffix, address, vendors], folder)
            if npm:
                found += outcomes("npm", ["node", "cases.mjs", suffix, address, vendors], npm)
        for name, command in compiled(folder):
            found += program_cases(name, command, first)
    return found


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="gateway-clients-") as name:
        folder = Path(name)
        python = python_with_clients(options.venv or folder / "venv", options.install_timeout)
        npm = node_with_clients(options.npm or folder / "npm", options.install_timeout)
        if not (python or npm):
            print("The clients cannot be installed here: nothing was tested.")
            return CANNOT_INSTALL
        try:
            found = asked(folder, python, npm)
        except RuntimeError as error:
            print(error)
            return 2
    passed, failed = table(found)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
