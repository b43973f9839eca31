#!/usr/bin/env python3
"""Drives the gateway's page in Chromium, against the command `polysight serve`, and prints a table of what came of it.

Exit status: 0 if all passed, 1 if any failed, 2 if nothing could be run, 77 if the tools cannot be installed here.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import upstream

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
AXE_PACKAGE = "axe-core@4.14.1"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
CANNOT_INSTALL = 77


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polysight", type=Path, help="the program; default: built with cargo")
    parser.add_argument("--tools", type=Path, help="a folder for playwright and axe-core, to use or to make and keep")
    parser.add_argument("--shots", type=Path, help="a folder for screenshots of each state of the page")
    parser.add_argument("--only", default="", help="only cases whose names contain this")
    return parser.parse_args()


def built():
    """Builds the command and finds the program."""
    command = ["cargo", "build", "-p", "polysight-cli", "--locked", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    programs = [message["executable"] for message in messages if message.get("executable")]
    return Path(programs[-1])


def ran(command, cwd, timeout=300):
    """Whether a command succeeds; if not, the reason is printed."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        print(f"{command[0]} did not finish within {timeout} s")
        return False
    if done.returncode != 0:
        print(f"{command[0]}:", *done.stderr.strip().splitlines()[-3:], sep="\n  ")
    return done.returncode == 0


def installed(folder):
    """Browser, Python with playwright, and axe-core's script; None, with the reason printed, if one cannot be had."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None or shutil.which("npm") is None:
        print("Chromium or npm is not here")
        return None
    python, axe = folder / "venv" / "bin" / "python", folder / "node_modules" / "axe-core" / "axe.min.js"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, AXE_PACKAGE]
    if not ran(pip, folder) or not (axe.exists() or ran(npm, folder)):
        return None
    return {"browser": browser, "python": python, "axe": axe}


def environment():
    """Neither keys nor proxies of this machine: nothing may leave it."""
    names = ("_PROXY", "_API_KEY", "_BASE_URL")
    kept = {key: value for key, value in os.environ.items() if not key.upper().endswith(names)}
    return {**kept, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def serving(program, *options):
    """A running gateway on a free port; gives its address."""
    command = [program, "serve", *options, "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        first = server.stdout.readline().strip()
        if not first.startswith("listening on http://"):
            raise RuntimeError(f"the gateway did not start: {first!r}")
        yield first.removeprefix("listening on ")
    finally:
        # This very process, and no other.
        server.terminate()
        server.wait(timeout=60)


def outcomes(tools, folder, options):
    """Starts both gateways, runs the cases and reads what they print."""
    program = options.polysight or built()
    key = secrets.token_hex(16)
    config = folder / "polysight.toml"
    config.write_text(upstream.config(upstream.started().server_port, key))
    with serving(program, "--emulator") as emulated, serving(program, "--config", config) as scripted:
        settings = {"emulated": emulated, "scripted": scripted, "key": key, "browser": tools["browser"],
            "axe": str(tools["axe"]), "shots": options.shots and str(options.shots.resolve()), "only": options.only}
        command = [tools["python"], HERE / "cases.py", json.dumps(settings)]
        run = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, timeout=500)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"case"')], run.returncode


def report(found):
    """Prints the outcomes; gives the number of failures."""
    print("\n| case | outcome |\n|---|---|")
    for row in found:
        print(f"| {row['case']} | {'ok' if row['outcome'] == 'ok' else 'failed'} |")
    failures = [row for row in found if row["outcome"] != "ok"]
    print("", *(f"{row['case']}: {row['outcome']}" for row in failures), sep="\n")
    print(f"{len(found) - len(failures)} passed, {len(failures)} failed")
    return len(failures)


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        folder = Path(name)
        tools_folder = options.tools or folder
        tools_folder.mkdir(parents=True, exist_ok=True)
        tools = installed(tools_folder.resolve())
        if tools is None:
            print("The tools cannot be installed here: nothing was tested.")
            return CANNOT_INSTALL
        found, status = outcomes(tools, folder, options)
    if not found or status not in (0, 1):
        return 2
    return 1 if report(found) or status else 0


if __name__ == "__main__":
    sys.exit(main())
