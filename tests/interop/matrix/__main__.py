"""Every SDK's client with every SDK's server, directly and through the gateway; writes the table."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "checks"))

import processes  # noqa: E402
from gateway import Gateway  # noqa: E402
from sdks import TOOLS, Backend, Place, backends, clients, words  # noqa: E402
from table import STEPS, Cell, Results, markdown  # noqa: E402

# The whole run.
DEADLINE = 3600
# Targets a client visits at once, and seconds that it gives a step. What was red is tried again alone and with more time,
# this often at most: some SDKs lose a notification now and then, directly too; what the gateway does wrong it does each time.
AT_ONCE, PATIENCE = 4, 15
AGAIN, ALONE, MORE_PATIENCE = 3, 1, 60


class Run:
    def __init__(self, place, only):
        self.place = place
        self.backends = list(backends(place))
        self.clients = [client for client in clients(place) if only in client.sdk]
        self.results = Results()
        self.urls = {}
        self.records = 0

    @property
    def logs(self):
        return self.place.work

    def write_config(self, name, settings, entries):
        """JSON is YAML."""
        file = self.place.work / f"{name}.yaml"
        whole = settings | {"state_dir": str(self.place.work / f"{name}-state"), "backends": entries}
        file.write_text(json.dumps(whole, indent=2, ensure_ascii=False))
        return file

    @property
    def binary(self):
        return self.place.binary

    async def start(self):
        """The servers that are not launched by whoever uses them, then the gateway in front of all."""
        served = [backend for backend in self.backends if backend.way != "stdio"]
        started = []
        for backend, port in zip(served, processes.free_ports(len(served))):
            command = [*backend.command, *words(backend, port)]
            log = self.place.work / f"{backend.name}.log"
            child = processes.start(command, log, env=processes.environment(**backend.variables))
            started.append(processes.listening(port, child))
            path = "sse" if backend.way == "sse" else "mcp"
            self.urls[backend.name] = f"http://127.0.0.1:{port}/{path}"
        await asyncio.wait_for(asyncio.gather(*started), 300)
        self.gateway = Gateway(self, {backend.name: self.entry(backend) for backend in self.backends})
        await self.gateway.start()
        for backend in self.backends:
            await self.gateway.until_ready(backend.name, 60)
        # For gateways that clients launch themselves, many at once on a machine of few cores.
        patient = {"timeouts": {"connect": "20s"}}
        for backend in self.backends:
            self.write_config(backend.name, {}, {backend.name: self.entry(backend) | patient})

    def entry(self, backend):
        if backend.way != "stdio":
            return {"url": self.urls[backend.name], "type": backend.way}
        command, *args = [*backend.command, *words(backend, None)]
        return {"command": command, "args": args, "env": backend.variables}

    def visits(self, client):
        """Every cell of this client's rows, and how it gets there."""
        for backend in self.backends:
            if backend.way in client.ways:
                yield Cell(client.sdk, backend.sdk, None, backend.way), self.direct(backend), backend, ""
            for front in self.fronts(client, backend):
                cell = Cell(client.sdk, backend.sdk, front, backend.way)
                yield cell, self.through(front, backend), backend, f"{backend.name}__"

    @staticmethod
    def fronts(client, backend):
        match backend.way:
            case "http":
                return ("http",)
            case "sse":
                return ("sse",) if "sse" in client.ways else ()
            case _:
                return ("http", "stdio")

    def direct(self, backend: Backend):
        if backend.way != "stdio":
            return {"transport": backend.way, "url": self.urls[backend.name]}
        command, *args = [*backend.command, *words(backend, None)]
        return launched(command, args, **backend.variables)

    def through(self, front, backend):
        if front == "stdio":
            config = self.place.work / f"{backend.name}.yaml"
            return launched(str(self.place.binary), ["serve", "--stdio", "--config", str(config)])
        return {"transport": front, "url": self.gateway.url if front == "http" else self.gateway.sse_url}

    async def go_round(self, client, at_once=AT_ONCE, patience=PATIENCE, only=None):
        """One process for all of a client's visits; it reports them one by one."""
        cells, targets = {}, []
        for cell, way, backend, prefix in self.visits(client):
            if only is not None and cell not in only:
                continue
            self.records += 1
            name = f"{len(targets)}"
            cells[name] = cell
            more = {"name": name, "mode": client.mode, "prefix": prefix, "note": backend.note, "tools": TOOLS}
            targets.append(way | more | {"record": str(self.place.work / f"record-{self.records}")})
        plan = client.more | {"at_once": at_once, "patience": patience, "steps": STEPS, "targets": targets}
        started = time.monotonic()
        _, out, err = await processes.output_of([*client.command, json.dumps(plan)])
        for line in out.splitlines():
            report = json.loads(line)
            self.results.add(cells.pop(report["target"]), report)
        for cell in cells.values():
            lost = {"revision": None, "steps": {}, "error": err.strip()[-300:] or "no report"}
            self.results.add(cell, lost)
        print(f"  {client.sdk:<28}  {len(targets):>3} cells  {time.monotonic() - started:6.1f} s", flush=True)


def launched(command, args, **variables):
    return {"transport": "stdio", "command": command, "args": args, "env": processes.environment(**variables)}


async def everything(run):
    await run.start()
    for client in run.clients:
        await run.go_round(client)
    for _ in range(AGAIN):
        suspects = {cell for cell, _, _ in run.results.faults()}
        for client in run.clients:
            if again := {cell for cell in suspects if cell.client == client.sdk}:
                await run.go_round(client, ALONE, MORE_PATIENCE, again)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--binary", "--peer", "--cache", "--node"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--client", default="", help="only clients whose name has this in it")
    parser.add_argument("--report", type=Path, help="where to write the table")
    return parser.parse_args()


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="switchyard-matrix-"))
    run = Run(Place(given.binary, given.peer, given.cache, given.node, work), given.client)
    print("\nmatrix of SDKs", flush=True)
    try:
        asyncio.run(asyncio.wait_for(everything(run), DEADLINE))
    finally:
        processes.stop_everything()
    page = markdown(run.results, run.clients, run.backends)
    if given.report:
        given.report.write_text(page)
    else:
        print(page)
    return verdict(run.results, work)


def verdict(results, work):
    faults = list(results.faults())
    for cell, step, reason in faults:
        print(f"  FAIL  {cell.client} over {cell.front}, {cell.backend} over {cell.back}: {step}: {reason}")
    green = sum(reason is None for seen in results.cells.values() for reason in seen["steps"].values())
    print(f"{len(results.cells)} cells, {green} green, {len(faults)} red through the gateway only")
    if faults or not results.cells:
        print(f"logs and configuration: {work}", file=sys.stderr)
        return 1
    shutil.rmtree(work, ignore_errors=True)
    return 0


sys.exit(main())
