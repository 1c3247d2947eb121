"""One row per check, a line of numbers at the end."""

import asyncio
import sys
import time
import traceback


# A machine may be busy with something else: every deadline here is for one that is not, and only what fails waits for it.
SLOWEST = 6


class Failed(Exception):
    """What was promised is not so."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


class Report:
    def __init__(self, only=""):
        self.passed, self.failed, self.skipped = 0, [], 0
        self.only = only
        self.inside = ""
        self.started = time.monotonic()

    def section(self, title):
        self.inside = title
        print(f"\n{title}", flush=True)

    async def check(self, title, work, deadline=10):
        """Awaits `work` for at most `deadline` seconds; returns its value, or None if it failed."""
        deadline *= SLOWEST
        started = time.monotonic()
        try:
            value = await asyncio.wait_for(work, deadline)
        except Exception as error:
            self.fail(title, reason_of(error, deadline), time.monotonic() - started)
            return None
        self.row("ok", title, time.monotonic() - started)
        self.passed += 1
        return True if value is None else value

    def wants(self, name):
        return self.only in name

    def fail(self, title, reason, seconds=0.0):
        self.row("FAIL", title, seconds)
        self.failed.append(f"{self.inside}: {title}")
        for line in reason.splitlines() or ["no reason given"]:
            print(f"        {line[:400]}", flush=True)

    def skip(self, title, reason):
        self.row("skip", f"{title}: {reason}", 0.0)
        self.skipped += 1

    def row(self, mark, title, seconds):
        print(f"  {mark:<4}  {title:<88}  {seconds:6.2f} s", flush=True)

    def finish(self):
        """Prints the totals and says whether all is well."""
        print(f"\nin {time.monotonic() - self.started:.0f} s", flush=True)
        for title in self.failed:
            print(f"failed: {title}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {len(self.failed)} failed{skipped}", flush=True)
        return not self.failed and self.passed > 0


def reason_of(error, deadline):
    """The innermost causes: an SDK wraps them in groups."""
    if isinstance(error, TimeoutError):
        return f"not done within {deadline} s"
    if isinstance(error, Failed):
        return str(error)
    if isinstance(error, ExceptionGroup):
        return "\n".join(reason_of(inner, deadline) for inner in error.exceptions)
    traceback.print_exception(error, limit=-2, file=sys.stderr)
    return f"{type(error).__name__}: {error}"
