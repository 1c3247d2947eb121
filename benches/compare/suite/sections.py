"""What is measured, one function a table."""

import json
import time
import urllib.request
from contextlib import ExitStack

import peers
from contenders import ECHO, GATEWAY, echo, http_backend, nginx, stdio_backend, switchyard
from measure import LOAD, load, rounds, run
from processes import WORK, Process, free_port

MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def calls(options):
    """tools/call: sizes, connections, eras."""
    sizes = (300, 10_000) if options.quick else (300, 10_000, 1_000_000)
    connections = (16, 64) if options.quick else (1, 16, 64)
    table = []
    with ExitStack() as stack:
        direct = stack.enter_context(echo())
        proxies = [direct, stack.enter_context(nginx(direct.url))]
        proxies.append(stack.enter_context(switchyard(http_backend(direct))))
        for build in options.build:
            proxies.append(stack.enter_context(switchyard(http_backend(direct), build.name, binary=build.resolve())))
        others = [] if options.no_peers else peers.start_all(stack, direct.url)
        for size in sizes:
            for count in connections:
                for era in ("modern", "legacy"):
                    usual = size < 1_000_000 and count > 1
                    here = proxies + [peer for peer in others if era in peer.eras and usual]
                    runs = {c.name: call(c, options, size, count, era) for c in here}
                    results = rounds(options.rounds, runs)
                    table.append({"bytes": size, "connections": count, "era": era, "results": results})
                    options.progress("calls", table[-1])
    return table


def call(contender, options, size, count, era):
    flags = ["--era", era, "--bytes", size, "--connections", count, "--seconds", options.seconds]
    return lambda: load(contender, "--work", "call", *flags)


def latency(options):
    """tools/call at fixed rates: half of what nginx can do, and a tenth."""
    table = []
    with ExitStack() as stack:
        direct = stack.enter_context(echo())
        proxies = [direct, stack.enter_context(nginx(direct.url))]
        proxies.append(stack.enter_context(switchyard(http_backend(direct))))
        for size in (300, 10_000):
            most = load(proxies[1], "--bytes", size, "--connections", 64, "--seconds", 2)["per_second"]
            for share in (0.5, 0.1):
                rate = round(most * share)
                flags = ["--bytes", size, "--connections", 64, "--rate", rate, "--warmup", 0.5]
                runs = {
                    c.name: lambda c=c: load(c, *flags, "--seconds", options.seconds) for c in proxies
                }
                results = rounds(options.rounds, runs)
                table.append({"bytes": size, "rate": rate, "share": share, "results": results})
                options.progress("latency", table[-1])
    return table


def lists(options):
    """tools/list, with nginx serving the same bytes from a file."""
    table = []
    for tools in (100, 5_000):
        with ExitStack() as stack:
            direct = stack.enter_context(echo(tools))
            gateway = stack.enter_context(switchyard(http_backend(direct)))
            proxy = stack.enter_context(nginx(direct.url))
            (WORK / "nginx" / "static" / "list.json").write_bytes(list_of(gateway.url, tools))
            static = type(proxy)("nginx, a file", proxy.url.replace("/mcp", "/static/list.json"), proxy.process, with_children=True)
            flags = ["--connections", 16, "--seconds", options.seconds, "--expect-tools", tools]
            runs = {
                static.name: lambda: load(static, "--work", "file", *flags),
                gateway.name: lambda: load(gateway, "--work", "list", *flags),
            }
            table.append({"tools": tools, "results": rounds(options.rounds, runs)})
            options.progress("lists", table[-1])
    return table


def list_of(url, tools, patience=60):
    """The whole list, once it has `tools` of them: a backend is ready a moment before its many tools are merged."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        text = listed(url)
        if len(json.loads(text)["result"]["tools"]) >= tools:
            return text
        time.sleep(0.05)
    raise RuntimeError(f"the list has fewer than {tools} tools")


def listed(url):
    body = {"jsonrpc": "2.0", "id": 100000000000, "method": "tools/list", "params": {"_meta": MODERN_META}}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/list",
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read()


def initialize(options):
    """initialize, a new session each time."""
    with ExitStack() as stack:
        direct = stack.enter_context(echo())
        proxies = [direct, stack.enter_context(nginx(direct.url))]
        proxies.append(stack.enter_context(switchyard(http_backend(direct))))
        flags = ["--work", "initialize", "--connections", 16, "--seconds", options.seconds]
        results = rounds(options.rounds, {c.name: lambda c=c: load(c, *flags) for c in proxies})
    return [{"connections": 16, "results": results}]


def settle(contender):
    """Waits until what a start or a new session leaves to be done is done."""
    for _ in range(40):
        before = contender.cpu()
        time.sleep(0.25)
        if contender.cpu() - before < 0.005:
            return


def stdio(options):
    """A server on a pipe: a bare client of the pipe, and clients of the gateway."""
    table = []
    with ExitStack() as stack:
        gateway = stack.enter_context(switchyard(stdio_backend()))
        bridges = [] if options.no_peers else peers.start_bridges(stack, ECHO)
        for count in (1, 16):
            flags = ["--connections", count, "--seconds", options.seconds]
            pipe = [LOAD, "--pipe", f"{ECHO} --stdio", *flags]
            runs = {"bare pipe": lambda: run(pipe)}
            runs |= {c.name: lambda c=c: load(c, *flags, "--era", "legacy") for c in (gateway, *bridges)}
            table.append({"connections": count, "results": rounds(options.rounds, runs)})
            options.progress("stdio", table[-1])
    return table


def stream(options):
    """A call with a hundred progress notifications before its answer."""
    table = []
    with ExitStack() as stack:
        direct = stack.enter_context(echo())
        proxies = [direct, stack.enter_context(nginx(direct.url, buffering=False))]
        proxies.append(stack.enter_context(switchyard(http_backend(direct))))
        for count in (1, 16):
            flags = ["--work", "stream", "--connections", count, "--seconds", options.seconds]
            runs = {c.name: lambda c=c: load(c, *flags, tool="stream") for c in proxies}
            table.append({"connections": count, "results": rounds(options.rounds, runs)})
            options.progress("stream", table[-1])
    return table


def memory(options):
    """Idle with ten backends of a hundred tools, under load, per session, with large bodies."""
    measured = {}
    with ExitStack() as stack:
        direct = stack.enter_context(echo(98))
        ten = {f"b{n}": {"url": direct.url} for n in range(10)}
        gateway = stack.enter_context(switchyard(ten, prefix="b0__"))
        time.sleep(1)
        measured["idle_kb"] = gateway.process.memory()
        load(gateway, "--connections", 64, "--seconds", options.seconds)
        measured["after_64_connections_kb"] = gateway.process.memory()
        before, sessions = gateway.process.memory(), 10_000
        load(gateway, "--work", "initialize", "--connections", 16, "--count", sessions)
        measured["per_session_bytes"] = (gateway.process.memory() - before) * 1024 / sessions
    with ExitStack() as stack:
        direct = stack.enter_context(echo())
        gateway = stack.enter_context(switchyard(http_backend(direct)))
        before = gateway.process.memory()
        load(gateway, "--bytes", 1_000_000, "--connections", 64, "--seconds", options.seconds)
        peak = gateway.process.memory("VmHWM") - before
        # A request's body and its answer are in flight at once at most.
        measured["large_bodies_peak_kb"] = peak
        measured["large_bodies_over_in_flight"] = peak * 1024 / (64 * 1_000_000)
    return measured


def start(options):
    """From `serve` to the first list answered from the kept catalog."""
    table = []
    for count in (1, 50):
        folder = WORK / f"kept-{count}"
        backends = {f"s{n}": stdio_backend()["echo"] | {"args": ["--stdio", "--tools", "20"]} for n in range(count)}
        port = free_port()
        config = {
            "server": {"listen": f"127.0.0.1:{port}"}, "admin": {"enabled": False}, "log": {"level": "error"},
            "catalog": {"page_size": 100_000}, "state_dir": str(folder), "backends": backends,
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = WORK / f"start-{count}.yaml"
        file.write_text(json.dumps(config))
        times = [first_answer(file, port, 22 * count) for _ in range(options.rounds + 1)]
        table.append({"backends": count, "cold_ms": times[0], "results": {"kept": summary_of(times[1:])}})
        options.progress("start", table[-1])
    return table


def summary_of(times):
    ordered = sorted(times)
    return {"ms": ordered[len(ordered) // 2], "spread": {"ms": [ordered[0], ordered[-1]]}}


def first_answer(file, port, tools):
    started = time.monotonic()
    with Process("start", [GATEWAY, "--config", file, "serve"]):
        while time.monotonic() < started + 60:
            try:
                answer = listed(f"http://127.0.0.1:{port}/mcp")
                taken = (time.monotonic() - started) * 1000
                if answer.count(b'"inputSchema"') >= tools:
                    time.sleep(0.5)
                    return taken
            except OSError:
                pass
            time.sleep(0.002)
    raise RuntimeError("the catalog was never complete")


def growth(options):
    """What a call costs with more backends, tools, sessions and connections."""
    table = []

    def measure(what, number, gateway, *flags):
        settle(gateway)
        runs = {"switchyard": lambda: load(gateway, "--seconds", options.seconds, *flags)}
        table.append({"grows": what, "to": number, "results": rounds(options.rounds, runs)})
        options.progress("growth", table[-1])

    for count in (1, 10, 100):
        with echo(98) as direct, switchyard({f"b{n}": {"url": direct.url} for n in range(count)}, prefix="b0__") as gateway:
            measure("backends", count, gateway, "--connections", 16)
    for tools in (10, 1_000, 10_000):
        with echo(tools - 2) as direct, switchyard(http_backend(direct)) as gateway:
            measure("tools", tools, gateway, "--connections", 16)
    with echo() as direct, switchyard(http_backend(direct)) as gateway:
        opened = 16
        for sessions in (16, 1_000, 10_000):
            if sessions > opened:
                load(gateway, "--work", "initialize", "--connections", 16, "--count", sessions - opened)
                opened = sessions
            measure("sessions", sessions, gateway, "--connections", 16, "--era", "legacy")
    with echo() as direct, switchyard(http_backend(direct)) as gateway:
        for count in (1, 16, 128, 512):
            measure("connections", count, gateway, "--connections", count)
    return table


ALL = {f.__name__: f for f in (calls, latency, lists, initialize, stdio, stream, memory, start, growth)}
QUICK = ("calls", "latency")
