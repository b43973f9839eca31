#!/usr/bin/env python3
"""Drives the gateway's page in Chromium, against the command `polysight serve`, and prints a table of what came of it.

Exit status: 0 if all passed, 1 if any failed, 2 if nothing could be run, 77 if the tools cannot be installed here.
"""

import argparse
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import upstream

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tools  # noqa: E402

AXE_PACKAGE = "axe-core@4.14.1"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polysight", type=Path, help="the program; default: built with cargo")
    parser.add_argument("--tools", type=Path, help="a folder for playwright and axe-core, to use or to make and keep")
    parser.add_argument("--shots", type=Path, help="a folder for screenshots of each state of the page")
    parser.add_argument("--only", default="", help="only cases whose names contain this")
    return parser.parse_args()


def installed(folder):
    """Browser, Python with playwright, and axe-core's script; None, with the reason printed, if one cannot be had."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print("Chromium is not here")
        return None
    python = tools.python_with(folder / "venv", HERE / "requirements.txt", 300)
    npm = tools.npm_with(folder, [AXE_PACKAGE], 300) if python else None
    if npm is None:
        return None
    axe = npm / "node_modules" / "axe-core" / "axe.min.js"
    return {"browser": browser, "python": python, "axe": axe}


def outcomes(found_tools, folder, options):
    """Starts both gateways, runs the cases and reads what they print."""
    program = options.polysight or tools.built("polysight-cli")["polysight"]
    key = secrets.token_hex(16)
    config = folder / "polysight.toml"
    config.write_text(upstream.config(upstream.started().server_port, key))
    serve = [program, "serve", "--listen", "127.0.0.1:0"]
    with (
        tools.serving([*serve, "--emulator"], "listening on ") as emulated,
        tools.serving([*serve, "--config", config], "listening on ") as scripted,
    ):
        settings = {"emulated": emulated, "scripted": scripted, "key": key, "browser": found_tools["browser"],
            "axe": str(found_tools["axe"]), "shots": options.shots and str(options.shots.resolve()), "only": options.only}
        command = [found_tools["python"], HERE / "cases.py", json.dumps(settings)]
        run = subprocess.run(command, env=tools.environment(), stdout=subprocess.PIPE, text=True, timeout=500)
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
        found_tools = installed(tools_folder.resolve())
        if found_tools is None:
            print("The tools cannot be installed here: nothing was tested.")
            return tools.CANNOT_INSTALL
        found, status = outcomes(found_tools, folder, options)
    if not found or status not in (0, 1):
        return 2
    return 1 if report(found) or status else 0


if __name__ == "__main__":
    sys.exit(main())
