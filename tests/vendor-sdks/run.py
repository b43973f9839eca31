#!/usr/bin/env python3
"""Has the vendors' own SDKs, unmodified, served by the emulator, and prints a table of what came of it.

Exit status: 0 if all passed, 1 if any failed, 2 if nothing could be run, 77 if the SDKs cannot be installed here.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tools  # noqa: E402
NODE_PACKAGE = "openai@6.49.0"
GROUPS = ["zhipuai", "zai-sdk", "dashscope classic", "dashscope 2", "qianfan", "qianfan signed", "openai"]
CASES = ["plain", "stream", "base64", "bare base64", "link", "tools", "signed token", "upload"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", type=Path, help="the program; default: built with cargo")
    parser.add_argument("--venv", type=Path, help="a virtual environment to use, or to make and keep")
    parser.add_argument("--install-timeout", type=int, default=300, help="seconds for pip (default: 300)")
    return parser.parse_args()


def asked(folder, options, python):
    """Starts the emulator and runs all cases."""
    program = options.emulator or tools.built("polysight-emulator")["polysight-emulator"]
    found = []
    with tools.serving([program, "--iam", "ALTAK-canary:canarysecret"]) as address:
        for group in GROUPS:
            found += tools.outcomes(group, [python, HERE / "cases.py", group, address], folder, "sdk", 120)
        npm = tools.npm_with(folder / "npm", [NODE_PACKAGE], 120)
        if npm:
            shutil.copy(HERE / "cases.mjs", npm)
            found += tools.outcomes("openai (Node)", ["node", "cases.mjs", address], npm, "sdk", 120)
    return found


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="vendor-sdks-") as name:
        folder = Path(name)
        python = tools.python_with(options.venv or folder / "venv", HERE / "requirements.txt", options.install_timeout)
        if python is None:
            print("The vendors' SDKs cannot be installed here: nothing was tested.")
            return tools.CANNOT_INSTALL
        try:
            found = asked(folder, options, python)
        except RuntimeError as error:
            print(error)
            return 2
    passed, failed = tools.table(found, CASES, "sdk", "not offered")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
