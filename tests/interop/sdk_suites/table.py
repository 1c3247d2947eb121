"""What each test came to, the reasons for which some cannot pass, and the page that shows both."""

import re
import tomllib
from dataclasses import dataclass

from between import NOT_STARTED


@dataclass(frozen=True)
class Reason:
    """Why tests cannot pass through a gateway, or should not."""

    title: str
    text: str
    tests: tuple[re.Pattern, ...]
    # What hangs on which of two things happens first: it may pass as well.
    is_unsteady: bool

    def covers(self, test):
        return any(pattern.fullmatch(test) for pattern in self.tests)


def read_reasons(file):
    entries = tomllib.loads(file.read_text())["reason"]
    return [
        Reason(
            entry["title"],
            entry["text"],
            tuple(map(pattern_of, entry["tests"])),
            entry.get("unsteady", False),
        )
        for entry in entries
    ]


def pattern_of(text):
    """`*` is anything; the brackets of pytest's names are themselves."""
    return re.compile(".*".join(map(re.escape, text.split("*"))))


@dataclass
class Judged:
    test: str
    passed: bool
    reason: Reason | None
    message: str

    @classmethod
    def of(cls, outcome, reasons):
        name = short(outcome["test"])
        passed, message = outcome["outcome"] in ("passed", "xfailed"), outcome.get("message", outcome["outcome"])
        covered = (reason for reason in reasons if reason.covers(name))
        # Without a gateway nothing was tested.
        reason = None if NOT_STARTED in message else next(covered, None)
        return cls(outcome["test"], passed, reason, message)

    @property
    def is_expected(self):
        return not self.passed and self.reason is not None

    @property
    def is_unexplained(self):
        return not self.passed and self.reason is None


def short(test):
    return test.removeprefix("tests/interaction/").removeprefix("tests/examples/").replace("test_stories.py::test_story", "stories")


def markdown(seen):
    """The whole page."""
    lines = [
        "# The Python SDK's own suites, through the gateway",
        "",
        "The interaction suite and the example stories of PyPI `mcp` 2.3.0, with the gateway between their clients and their",
        "servers. Written by `tests/interop/sdk_suites/run`, which fails if a test fails that has no reason below.",
        "",
        "| | tests | pass | cannot, for a reason below | fail |",
        "|---|---|---|---|---|",
    ]
    for arm, judged in seen.items():
        passed, expected = sum(one.passed for one in judged), sum(one.is_expected for one in judged)
        failed = sum(one.is_unexplained for one in judged)
        lines.append(f"| {arm.title} | {len(judged)} | {passed} | {expected} | {failed} |")
    lines += ["", "## Tests that cannot pass", ""]
    reds = [one for judged in seen.values() for one in judged if not one.passed]
    for reason in dict.fromkeys(one.reason for one in reds if one.reason):
        lines += section(reason.title, reason.text, [one for one in reds if one.reason is reason])
    if unexplained := [one for one in reds if one.is_unexplained]:
        lines += section("No reason is known", "These are faults until shown otherwise.", unexplained)
    lines += ["## All tests", "", "| file | " + " | ".join(arm.name for arm in seen) + " |", "|---" * (len(seen) + 1) + "|"]
    lines += by_file(seen)
    return "\n".join(lines) + "\n"


def section(title, text, reds):
    cells = {}
    for one in reds:
        name, _, cell = short(one.test).partition("[")
        cells.setdefault(name, []).append(cell.removesuffix("]"))
    rows = [f"| `{name}` | {', '.join(sorted(cells[name]))} |" for name in sorted(cells)]
    return [f"### {title}", "", text, "", "| test | in |", "|---|---|", *rows, ""]


def by_file(seen):
    files = {}
    for arm, judged in seen.items():
        for one in judged:
            name = short(one.test).partition("::")[0].partition("[")[0]
            files.setdefault(name, {}).setdefault(arm, []).append(one.passed)
    for name in sorted(files):
        counts = (files[name].get(arm) for arm in seen)
        yield f"| {name} | " + " | ".join(f"{sum(count)}/{len(count)}" if count else "" for count in counts) + " |"
