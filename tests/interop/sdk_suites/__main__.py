"""Runs the suites' arms, judges each test by what `expected.toml` says, and writes the table."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from table import Judged, markdown, read_reasons

HERE = Path(__file__).resolve().parent
ARM_SECONDS = 3600


@dataclass(frozen=True)
class Arm:
    """One way to put the gateway between a suite's client and server."""

    name: str
    title: str
    paths: tuple[str, ...]
    chosen: str


INTERACTION = ("tests/interaction/lowlevel", "tests/interaction/mcpserver")
STORIES = ("tests/examples/test_stories.py",)
ARMS = (
    Arm("http", "interaction suite, Streamable HTTP on both sides", INTERACTION, "streamable-http-2"),
    Arm("stdio", "interaction suite, Streamable HTTP to stdio", INTERACTION, "in-memory"),
    Arm("stateless", "interaction suite, Streamable HTTP to a server without sessions", INTERACTION, "streamable-http-stateless"),
    Arm("sse", "interaction suite, HTTP+SSE on both sides", INTERACTION, "sse-2"),
    Arm("stories-http", "example stories, Streamable HTTP on both sides", STORIES, "test_story and http-asgi"),
    Arm("stories-stdio", "example stories, Streamable HTTP to stdio", STORIES, "test_story and in-memory"),
)
# Asking, progress, cancellation, watching: where a gateway can go wrong most.
QUICK = {
    "http": "streamable-http-2 and (elicitation or sampling or progress or cancel or subscri or list_changed or meta or flows)",
    "stories-http": "test_story and http-asgi and server- and (tools or prompts or resources or streaming or mrtr or stickynotes)",
}


def options():
    parser = argparse.ArgumentParser()
    for name in ("binary", "source", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", default="")
    for name in ("quick", "direct"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


def pytest(asked, paths, chosen, folder):
    """Outcomes by test, the suite's own words left in `folder`/log."""
    results, settings = folder / "results", folder / "pytest.ini"
    # The suite's own settings turn each warning into an error, also those of servers that are cut off here.
    settings.write_text("[pytest]\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(asked.source), str(asked.source / "examples"), str(HERE)]),
        "SWITCHYARD": str(asked.binary),
        "SDK_SUITES_RESULTS": str(results),
        "SDK_SUITES_DIRECT": "1" if asked.direct else "",
    }
    command = [sys.executable, "-m", "pytest", "-c", str(settings), "--rootdir", str(asked.source), "-q"]
    # What stands above is for the rest of the SDK's tests, and wants tools that are not needed here.
    command += ["--confcutdir", str(asked.source / "/".join(paths[0].split("/")[:2])), "-p", "no:cacheprovider"]
    command += ["-p", "through_gateway", *(["-k", chosen] if chosen else []), *paths]
    with open(folder / "log", "ab") as log:
        subprocess.run(command, cwd=asked.source, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                       stderr=subprocess.STDOUT, timeout=ARM_SECONDS, check=False)
    if not results.exists():
        raise RuntimeError(f"pytest came to no end: {(folder / 'log').read_text()[-2000:]}")
    outcomes = [json.loads(line) for line in results.read_text().splitlines()]
    return {outcome["test"]: outcome for outcome in outcomes}


def run(asked, arm, reasons, folder):
    """One arm; what failed without a reason is tried once more by itself, since the machine may have been busy."""
    outcomes = pytest(asked, arm.paths, QUICK[arm.name] if asked.quick else arm.chosen, folder)
    judged = [Judged.of(outcome, reasons) for outcome in outcomes.values()]
    again = [one.test for one in judged if one.is_unexplained]
    if again and len(again) <= 20:
        outcomes |= pytest(asked, again, "", folder)
    return [Judged.of(outcome, reasons) for outcome in outcomes.values()]


def main():
    asked = options()
    reasons = [] if asked.direct else read_reasons(HERE / "expected.toml")
    arms = [arm for arm in ARMS if asked.only in arm.name and (not asked.quick or arm.name in QUICK)]
    seen = {}
    for arm in arms:
        with tempfile.TemporaryDirectory() as folder:
            seen[arm] = run(asked, arm, reasons, Path(folder))
        say(arm, seen[arm])
    if not (asked.quick or asked.only or asked.direct):
        asked.report.write_text(markdown(seen))
    unexplained = [one for judged in seen.values() for one in judged if one.is_unexplained]
    passed = sum(one.passed for judged in seen.values() for one in judged)
    print(f"{passed} passed, {len(unexplained)} failed")
    return 1 if unexplained or not passed else 0


def say(arm, judged):
    counts = (sum(one.passed for one in judged), sum(one.is_expected for one in judged), len(judged))
    print(f"{arm.name:14} {counts[0]} of {counts[2]} pass, {counts[1]} cannot, for a reason", flush=True)
    for one in judged:
        if one.is_unexplained:
            print(f"  FAIL {one.test}\n       {one.message[:600]}", flush=True)
        elif one.passed and one.reason and not one.reason.is_unsteady:
            print(f"  passes now, and has a reason in expected.toml not to: {one.test}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
