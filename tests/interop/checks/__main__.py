"""Runs everything: servers, then the gateway in front of them, then clients in front of it."""

import argparse
import asyncio
import json
import logging
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import backends
import clients
import commands
import isolation
import processes
import programs
import servers
import tutorial
from gateway import Gateway
from report import Report

# The whole run; every check has its own deadline as well.
DEADLINE = 3600


@dataclass(frozen=True)
class Place:
    """Where things are."""

    binary: Path
    cache: Path
    node: Path
    work: Path

    @property
    def logs(self):
        return self.work

    def write_config(self, name, settings, entries):
        """JSON is YAML."""
        file = self.work / f"{name}.yaml"
        whole = settings | {"state_dir": str(self.work / f"{name}-state"), "backends": entries}
        file.write_text(json.dumps(whole, indent=2, ensure_ascii=False))
        return file


async def run(place, report):
    behind = servers.all_servers(place)
    entries = {server.name: server.entry for server in behind}
    gateway = Gateway(place, servers.dead_entries() | entries)
    # What a client launches itself: fewer backends, every kind of them, a dead one too.
    few = {name: gateway.backends[name] for name in ("dead_command", "everything_http", "files", "crm")}
    stdio_config = place.write_config("stdio", {}, few)

    report.section("starting")
    servers_start = asyncio.gather(*[server.start(place.logs) for server in behind])
    await report.check("the servers that are not launched by the gateway", servers_start, 30)
    if not await report.check("the gateway", gateway.start(), 20):
        print(gateway.log.read_text(errors="replace"), file=sys.stderr)
        return
    if report.wants("backends"):
        await backends.run(report, gateway, behind)
        await backends.prompts_and_resources(report, gateway, behind[0])
    if report.wants("clients"):
        await clients.run(report, place, gateway, stdio_config)
    if report.wants("programs"):
        await programs.run(report, place, gateway, stdio_config)
    if report.wants("commands"):
        await commands.run(report, place, gateway)
    if report.wants("tutorial"):
        await tutorial.run(report, place)
    if report.wants("isolation"):
        await isolation.run(report, place, gateway, behind)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--binary", "--cache", "--node"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--only", default="", help="backends, clients, programs, commands, tutorial or isolation")
    return parser.parse_args()


def main():
    given = arguments()
    report = Report(given.only)
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="switchyard-interop-"))
    try:
        asyncio.run(asyncio.wait_for(run(Place(given.binary, given.cache, given.node, work), report), DEADLINE))
    except TimeoutError as error:
        report.fail("the run as a whole", f"{error or f'not done within {DEADLINE} s'}")
    finally:
        processes.stop_everything()
    well = report.finish()
    if well:
        shutil.rmtree(work, ignore_errors=True)
    else:
        print(f"logs and configuration: {work}", file=sys.stderr)
    return 0 if well else 1


sys.exit(main())
