"""What the scripts in these folders share: builds, installers, a clean environment, servers, outcomes of programs of cases."""

import json
import os
import shutil
import subprocess
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CANNOT_INSTALL = 77


def built(*packages):
    """Builds programs with cargo; gives their paths by name."""
    command = ["cargo", "build", "--locked", "--message-format=json"]
    for package in packages:
        command += ["-p", package]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    programs = [Path(message["executable"]) for message in messages if message.get("executable")]
    return {program.name: program for program in programs}


def ran(what, command, timeout, cwd=None):
    """Whether an installer did its work; the reason is printed where it did not."""
    try:
        run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        print(f"{what} did not finish within {timeout} s")
        return False
    if run.returncode != 0:
        print(f"{what}:", *run.stderr.strip().splitlines()[-3:], sep="\n  ")
    return run.returncode == 0


def python_with(folder, requirements, timeout):
    """The Python of a virtual environment with these packages; None if they cannot be had."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--requirement", requirements]
    return python if ran("pip", command, timeout) else None


def npm_with(folder, packages, timeout):
    """A folder with these npm packages; None if they cannot be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        print("node or npm is not here: what they run is left out")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", *packages]
    return folder if ran("npm", command, timeout, folder) else None


def environment(**more):
    """Neither keys nor proxies of this machine: nothing may leave it."""
    names = ("_PROXY", "_API_KEY", "_BASE_URL")
    vendors = ("QIANFAN_", "DASHSCOPE_", "OPENAI_", "ZHIPUAI_", "ZAI_")
    kept = {key: value for key, value in os.environ.items() if not key.upper().endswith(names)}
    kept = {key: value for key, value in kept.items() if not key.startswith(vendors)}
    return {**kept, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", "RUST_LOG": "warn", **more}


@contextmanager
def serving(command, prefix="", **variables):
    """A running server; gives the address that its first line names, as http://ADDRESS."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(**variables))
    try:
        first = server.stdout.readline().strip()
        if not first.startswith(prefix + "http://127.0.0.1:"):
            raise RuntimeError(f"{command[0]} did not start: {first!r}")
        yield "/".join(first.removeprefix(prefix).split("/")[:3])
    finally:
        # This very process, and no other.
        server.terminate()
        server.wait(timeout=60)


def outcomes(name, command, cwd, key="client", timeout=180, **variables):
    """Runs one program of cases, which prints a line of JSON for each; one that breaks off is a failure too."""
    try:
        run = subprocess.run(
            command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=timeout
        )
        output, code, errors = run.stdout, run.returncode, run.stderr
    except subprocess.TimeoutExpired as late:
        output, code, errors = (late.stdout or b"").decode(), 1, f"it did not finish within {timeout} s"
    found = [json.loads(line) for line in output.splitlines() if line.startswith(f'{{"{key}"')]
    if code != 0 or not found:
        last = (errors.strip().splitlines() or ["no output"])[-1]
        found.append({key: name, "case": "all", "outcome": f"failed: {last[:300]}"})
    return found


def table(found, cases, key="client", missing="-"):
    """Prints outcomes by row and case, and the failures; gives the numbers of passed and failed cases."""
    rows = list(dict.fromkeys(row[key] for row in found))
    cells = {(row[key], row["case"]): row["outcome"] for row in found}
    failures = [row for row in found if row["outcome"].startswith("failed")]
    print(f"\n| {key} |", " | ".join(cases), "|")
    print("|---" * (len(cases) + 1) + "|")
    for name in rows:
        print(f"| {name} |", " | ".join(cells.get((name, case), missing).split(":")[0] for case in cases), "|")
    print()
    for row in failures:
        print(f"{row[key]}, {row['case']}: {row['outcome']}")
    passed = sum(row["outcome"] == "ok" for row in found)
    print(f"{passed} passed, {len(failures)} failed")
    return passed, len(failures)
