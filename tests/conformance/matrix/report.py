"""What came out, beside what a direct run gives, and is it worse than it was?"""

import json
from pathlib import Path

from .cells import Cell, ClientCell, reference
from .suite import Outcome

HEAD = """# Conformance

What the official suite of the Model Context Protocol, `@modelcontextprotocol/conformance` {version}, says about
Switchyard. Written by `tests/conformance/run`; do not edit.

Each row is one client revision before one backend. *Direct* is the same suite before the backend without a gateway;
where the two are of different eras, before the same server with both eras switched on.
*Checks* are single assertions: a scenario can pass with fewer of them than a direct run has, which proves less.
"""

SERVER_TABLE = """
## As a server

`own` is the fixture in `tests/conformance/fixture` (*unlisted*: the resource that can be watched is in no list), `python` the
example server of the Python SDK {python}.
*crowd*: the backend under an empty prefix, a second one beside it, and a dead one.

| client | backend | reached by | direct | through Switchyard | checks | not scored |
|---|---|---|---|---|---|---|
"""

CLIENT_TABLE = """
## As a client

The suite's mock servers are the backends; a small client drives the gateway. In `auth/*` the backend wants OAuth: the
client runs `switchyard connect` and opens every page it names.

| revision | without `auth/*` | `auth/*` | checks | not scored |
|---|---|---|---|---|
"""

NOTHING = "\nNothing.\n"


def score(outcome: Outcome, scored: bool = True) -> str:
    counted = [scenario for scenario in outcome.values() if scenario.scored is scored]
    return f"{sum(scenario.ok for scenario in counted)}/{len(counted)}"


def checks(outcome: Outcome) -> int:
    return sum(scenario.passed for scenario in outcome.values())


def passes(outcome: Outcome) -> list[str]:
    return sorted(name for name, scenario in outcome.items() if scenario.ok)


def markdown(results: dict, version: str, python: str) -> str:
    text = HEAD.format(version=version) + SERVER_TABLE.format(python=python)
    for cell, outcome in results.items():
        if isinstance(cell, Cell) and cell.way != "direct":
            text += server_row(cell, outcome, direct_of(cell, results))
    text += CLIENT_TABLE
    for cell, outcome in results.items():
        if isinstance(cell, ClientCell):
            text += client_row(cell, outcome)
    return text + failures(results)


def server_row(cell: Cell, outcome: Outcome, direct: Outcome | None) -> str:
    beside, of = (score(direct), f" of {checks(direct)}") if direct else ("–", "")
    return (f"| {cell.revision} | {cell.backend.name} | {cell.way} | {beside} | **{score(outcome)}** "
            f"| {checks(outcome)}{of} | {score(outcome, scored=False)} |\n")


def client_row(cell: ClientCell, outcome: Outcome) -> str:
    auth = {name: scenario for name, scenario in outcome.items() if name.startswith("auth/")}
    other = {name: scenario for name, scenario in outcome.items() if name not in auth}
    return (f"| {cell.revision} | **{score(other)}** | **{score(auth)}** | {checks(outcome)} "
            f"| {score(outcome, scored=False)} |\n")


def direct_of(cell: Cell, results: dict) -> Outcome | None:
    return next((outcome for other, outcome in results.items() if other.name == reference(cell)), None)


def failures(results: dict) -> str:
    """Cells that fail in the same scenarios share a list."""
    lists = {}
    for cell, outcome in results.items():
        direct = direct_of(cell, results) if isinstance(cell, Cell) else None
        lines = {name: line for name, scenario in sorted(outcome.items())
                 if (line := scenario_line(name, scenario, (direct or {}).get(name)))}
        if lines:
            cells, _ = lists.setdefault(tuple(lines), ([], lines))
            cells.append(f"`{cell.name}`")
    text = "".join(f"\n{', '.join(cells)}:\n\n{''.join(lines.values())}" for cells, lines in lists.values())
    return f"\n## What fails\n{text or NOTHING}"


def scenario_line(name: str, scenario, direct) -> str:
    mark = "" if scenario.scored else " (not scored)"
    why = f": {scenario.reasons[0]}" if scenario.reasons else ""
    # Text of somebody else's is not to be read as markup.
    why = why.replace("|", "/").replace("<", "‹").replace(">", "›")
    if not scenario.ok and not (direct and not direct.ok):
        return f"- **{name}**{mark}, {scenario.failed} of {scenario.failed + scenario.passed} checks{why}\n"
    if direct and scenario.ok and scenario.passed < direct.passed:
        return f"- {name}{mark} passes with {scenario.passed} of {direct.passed} checks{why}\n"
    return ""


def expected(baseline: Path) -> dict[str, list[str]]:
    """The scenarios that are expected to pass, by the name of their cell; one that is not there expects nothing."""
    return json.loads(baseline.read_text()) if baseline.exists() else {}


def regressions(results: dict, baseline: Path) -> list[str]:
    """Scenarios that are expected to pass and did not."""
    wanted, lost = expected(baseline), []
    for cell, outcome in results.items():
        passed = passes(outcome)
        lost += [f"{cell.name}: {name}" for name in wanted.get(cell.name, []) if name not in passed]
    return lost


def write_baseline(results: dict, baseline: Path) -> None:
    kept = expected(baseline)
    kept.update({cell.name: passes(outcome) for cell, outcome in results.items()})
    baseline.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
