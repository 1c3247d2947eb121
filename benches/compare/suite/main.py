"""Measures, and writes what was found."""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import report
import sections
from contenders import GATEWAY
from processes import ROOT, WORK


def options():
    parser = argparse.ArgumentParser(prog="benches/compare/run")
    parser.add_argument("--quick", action="store_true", help="three minutes: direct, nginx, this gateway")
    parser.add_argument("--only", action="append", choices=sections.ALL, help="this section alone; may be repeated")
    parser.add_argument("--no-peers", action="store_true", help="without other gateways")
    parser.add_argument("--build", action="append", type=Path, default=[],
                        help="another build of the gateway, measured beside it in the section `calls` by its file's name")
    parser.add_argument("--publish", action="store_true", help="write the tables into BENCHMARKS.md")
    parser.add_argument("--rounds", type=int, help="of each measurement; medians are shown")
    parser.add_argument("--seconds", type=float, help="of each round")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 5)
    chosen.seconds = chosen.seconds or (1.5 if chosen.quick else 2.0)
    chosen.no_peers = chosen.no_peers or chosen.quick
    chosen.progress = progress
    return chosen


def progress(section, row):
    about = {key: value for key, value in row.items() if key != "results"}
    shown = ", ".join(f"{name} {report.brief(result)}" for name, result in row["results"].items())
    print(f"compare: {section} {json.dumps(about)}: {shown}", file=sys.stderr)


def machine():
    def first(command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[0]

    model = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": len(model),
        "kernel": platform.release(),
        "nginx": first(["nginx", "-v"]).split("/")[-1],
        "rustc": first(["rustc", "--version"]),
        "switchyard": first([GATEWAY, "--version"]),
        "commit": first(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]),
        "binary_bytes": GATEWAY.stat().st_size,
        "load_before": Path("/proc/loadavg").read_text().split()[0],
        "command": "benches/compare/run " + " ".join(sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def main():
    chosen = options()
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(WORK / "run", ignore_errors=True)
    results = {"machine": machine(), "sections": {}}
    names = chosen.only or (sections.QUICK if chosen.quick else list(sections.ALL))
    failed = []
    for name in names:
        try:
            results["sections"][name] = sections.ALL[name](chosen)
        except Exception as error:  # One section that cannot run must not cost the others.
            failed.append(name)
            print(f"compare: {name} failed: {error}", file=sys.stderr)
    results["bars"] = report.bars(results["sections"])
    (WORK / "results.json").write_text(json.dumps(results, indent=1))
    text = report.markdown(results)
    (WORK / "results.md").write_text(text)
    if chosen.publish:
        report.publish(text, ROOT / "BENCHMARKS.md")
    print(text)
    wrong = report.wrong_answers(results["sections"])
    for line in wrong:
        print(f"compare: a wrong answer: {line}", file=sys.stderr)
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
