"""Runs the client against contenders, turn by turn, and keeps medians."""

import json
import statistics
import subprocess
import sys

from processes import RELEASE

LOAD = RELEASE / "examples" / "compare_load"


class WrongAnswer(Exception):
    """A contender answered something else than it had to."""


def load(contender, *options, tool="echo"):
    """One run of the client: what it says, and the contender's CPU time per 100 000 calls."""
    command = [LOAD, "--url", contender.url, "--tool", contender.prefix + tool, *options]
    before = contender.cpu()
    result = run(command)
    spent = contender.cpu() - before
    return result | {"cpu_s_per_100k": spent / max(result["calls"], 1) * 100_000}


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise WrongAnswer(done.stderr.strip()[-600:])
    return json.loads(done.stdout)


def rounds(count, runs):
    """Each of `runs` in turn, `count` times over, so that what disturbs the machine disturbs all alike.

    `runs` maps a name to a function; the result maps it to medians and the spread of what it returned, or
    to the error that ended it.
    """
    seen, failed = {name: [] for name in runs}, {}
    for _ in range(count):
        for name, once in runs.items():
            if name in failed:
                continue
            try:
                seen[name].append(once())
            except (WrongAnswer, subprocess.TimeoutExpired) as error:
                failed[name] = str(error)
                print(f"compare: {name}: {error}", file=sys.stderr)
    return {name: {"error": failed[name]} if name in failed else summary(seen[name]) for name in runs}


def summary(results):
    keys = [key for key, value in results[0].items() if isinstance(value, (int, float))]
    columns = {key: [r[key] for r in results if r.get(key) is not None] for key in keys}
    medians = {key: statistics.median(values) for key, values in columns.items() if values}
    low_high = {key: [min(values), max(values)] for key, values in columns.items() if values}
    return medians | {"spread": low_high, "rounds": len(results)}
