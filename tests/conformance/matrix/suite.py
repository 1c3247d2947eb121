"""What does the official suite say about a server, or about a client?"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SCENARIO_MS = 12_000
# The suite runs all of a client's scenarios at once, each with a gateway of its own.
CLIENT_MS = 60_000
RUN_SECONDS = 600

SUMMARY = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", re.MULTILINE)
NOT_SCORED = re.compile(r"^ {2}[✓✗] (\S+) \(", re.MULTILINE)


@dataclass
class Scenario:
    passed: int
    failed: int
    scored: bool
    reasons: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """At least one success and no failure: a scenario of nothing but skipped checks is no pass."""
        return self.passed > 0 and self.failed == 0


Outcome = dict[str, Scenario]


class Suite:
    def __init__(self, node: Path, script: Path):
        self.start = [str(node), str(script)]

    def server(self, url: str, revision: str, output: Path) -> Outcome:
        return self.run(["server", "--url", url], revision, output, SCENARIO_MS)

    def client(self, command: str, revision: str, output: Path, environment: dict[str, str]) -> Outcome:
        return self.run(["client", "--command", command], revision, output, CLIENT_MS, environment)

    def run(self, words, revision: str, output: Path, limit_ms: int, environment=None) -> Outcome:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        command = [*self.start, *words, "--requirements", revision, "--timeout", str(limit_ms), "-o", str(output)]
        with open(output / "run.log", "w") as log:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=RUN_SECONDS,
                           env=environment, check=False)
        return parse((output / "run.log").read_text(), output)


def parse(log: str, output: Path) -> Outcome:
    unscored = set(NOT_SCORED.findall(log))
    outcome = {
        name: Scenario(int(passed), int(failed), name not in unscored)
        for name, passed, failed in SUMMARY.findall(log)
    }
    if not outcome:
        raise RuntimeError(f"the suite ended without a summary: {log[-1500:]}")
    for file in output.rglob("checks.json"):
        # The directory is called after the scenario and the time.
        folder = str(file.parent.relative_to(output)).removeprefix("server-")
        name = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", folder)
        if name in outcome:
            outcome[name].reasons = reasons(json.loads(file.read_text()))
    return outcome


def reasons(checks: list[dict]) -> list[str]:
    bad = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
    return [" ".join(str(check.get("errorMessage") or check["id"]).split())[:160] for check in bad]
