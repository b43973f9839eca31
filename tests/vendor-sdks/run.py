#!/usr/bin/env python3
"""Has the vendors' own SDKs, unmodified, served by the emulator, and prints a table of what came of it.

Exit status: 0 if all passed, 1 if any failed, 2 if nothing could be run, 77 if the SDKs cannot be installed here.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NODE_PACKAGE = "openai@6.49.0"
GROUPS = ["zhipuai", "zai-sdk", "dashscope classic", "dashscope 2", "qianfan", "qianfan signed", "openai"]
CASES = ["plain", "stream", "base64", "bare base64", "link", "tools", "signed token", "upload"]
CANNOT_INSTALL = 77


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", type=Path, help="the program; default: built with cargo")
    parser.add_argument("--venv", type=Path, help="a virtual environment to use, or to make and keep")
    parser.add_argument("--install-timeout", type=int, default=300, help="seconds for pip (default: 300)")
    return parser.parse_args()


def built():
    """Builds the emulator and finds the program."""
    command = ["cargo", "build", "-p", "polysight-emulator", "--locked", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    programs = [message["executable"] for message in messages if message.get("executable")]
    return Path(programs[-1])


def installed(folder, timeout):
    """The Python of a virtual environment that holds the SDKs; None, with the reason printed, if they cannot be had."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
    try:
        pip = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        print(f"pip did not finish within {timeout} s")
        return None
    if pip.returncode != 0:
        print("pip:", *pip.stderr.strip().splitlines()[-3:], sep="\n  ")
        return None
    return python


def node_folder(folder):
    """A folder with the npm package; None, with the reason printed, if it cannot be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        print("node or npm is not here: the npm package is left out")
        return None
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", NODE_PACKAGE]
    try:
        npm = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        print("npm did not finish within 120 s: its package is left out")
        return None
    if npm.returncode != 0:
        print("npm: its package is left out:", npm.stderr.strip()[-300:])
        return None
    shutil.copy(HERE / "cases.mjs", folder)
    return folder


def clean_environment():
    """Neither keys nor proxies of this machine: nothing may leave it."""
    names = ("_PROXY", "_API_KEY", "_BASE_URL")
    kept = {key: value for key, value in os.environ.items() if not key.upper().endswith(names)}
    own = [key for key in kept if key.startswith(("QIANFAN_", "DASHSCOPE_", "OPENAI_", "ZHIPUAI_", "ZAI_"))]
    for key in own:
        del kept[key]
    return {**kept, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}


def outcomes(name, command, cwd):
    """Runs one program of cases; one that breaks off is a failure too."""
    try:
        run = subprocess.run(
            command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=120
        )
        output, code, errors = run.stdout, run.returncode, run.stderr
    except subprocess.TimeoutExpired as late:
        output, code, errors = (late.stdout or b"").decode(), 1, "it did not finish within 120 s"
    found = [json.loads(line) for line in output.splitlines() if line.startswith('{"sdk"')]
    if code != 0 or not found:
        last = (errors.strip().splitlines() or ["no output"])[-1]
        found.append({"sdk": name, "case": "all", "outcome": f"failed: {last[:300]}"})
    return found


def table(found):
    """Prints the table and the failures; gives the numbers of passed and failed cases."""
    sdks = list(dict.fromkeys(row["sdk"] for row in found))
    cells = {(row["sdk"], row["case"]): row["outcome"] for row in found}
    failures = [row for row in found if row["outcome"].startswith("failed")]
    print("\n| SDK |", " | ".join(CASES), "|")
    print("|---" * (len(CASES) + 1) + "|")
    for sdk in sdks:
        row = [cells.get((sdk, case), "not offered").split(":")[0] for case in CASES]
        print(f"| {sdk} |", " | ".join(row), "|")
    print()
    for row in failures:
        print(f"{row['sdk']}, {row['case']}: {row['outcome']}")
    passed = sum(row["outcome"] == "ok" for row in found)
    print(f"{passed} passed, {len(failures)} failed")
    return passed, len(failures)


def asked(folder, options, python):
    """Starts the emulator, runs all cases, and ends the emulator."""
    command = [options.emulator or built(), "--iam", "ALTAK-canary:canarysecret"]
    emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        first = emulator.stdout.readline().strip()
        if not first.startswith("http://127.0.0.1:"):
            print(f"the emulator did not start: {first!r}")
            return None
        address = first[: first.index("/", len("http://"))]
        found = []
        for group in GROUPS:
            found += outcomes(group, [python, HERE / "cases.py", group, address], folder)
        npm = node_folder(folder)
        if npm:
            found += outcomes("openai (Node)", ["node", "cases.mjs", address], npm)
        return found
    finally:
        # This very process, and no other.
        emulator.terminate()
        emulator.wait(timeout=10)


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="vendor-sdks-") as name:
        folder = Path(name)
        python = installed(options.venv or folder / "venv", options.install_timeout)
        if python is None:
            print("The vendors' SDKs cannot be installed here: nothing was tested.")
            return CANNOT_INSTALL
        found = asked(folder, options, python)
    if found is None:
        return 2
    passed, failed = table(found)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
