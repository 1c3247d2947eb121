"""Foreign clients in front of the gateway, each driven by its own SDK in its own process."""

import json
from dataclasses import dataclass
from pathlib import Path

import processes
from report import expect

HERE = Path(__file__).resolve().parent.parent
BACKEND = "everything_http__"
BACKENDS = ["everything_http__echo", "files__read_text_file", "crm__get_customer"]
MODERN, LEGACY = "2026-07-28", "2025-11-25"
# Both SDKs may forget the last step, even without a gateway, when the answer arrives with it.
WHOLE = [[[step, 4] for step in range(1, last + 1)] for last in (4, 3)]
# Seconds of a call that is given up; who gives it up waits for nothing.
LONG = 30


@dataclass(frozen=True)
class Kind:
    """One SDK in one way of using it."""

    name: str
    transport: str
    revision: str
    python: str = None
    sdk: int = None
    mode: str = "legacy"


def kinds():
    """Every SDK over every transport, and both eras where an SDK speaks both."""
    for transport, shown in (("http", "Streamable HTTP"), ("sse", "HTTP+SSE"), ("stdio", "stdio")):
        yield Kind(f"Python SDK 2.x, {shown}", transport, MODERN, python="current", mode="auto")
        yield Kind(f"Python SDK 1.x, {shown}", transport, LEGACY, python="previous")
        yield Kind(f"TypeScript SDK 2.x, {shown}", transport, MODERN, sdk=2, mode="auto")
        yield Kind(f"TypeScript SDK 1.x, {shown}", transport, LEGACY, sdk=1)
    yield Kind("Python SDK 2.x, Streamable HTTP, as of 2025", "http", LEGACY, python="current")
    yield Kind("TypeScript SDK 2.x, Streamable HTTP, as of 2025", "http", LEGACY, sdk=2)


def steps(place):
    slow = {"do": "call", "tool": f"{BACKEND}trigger-long-running-operation"}
    prompt = {"name": f"{BACKEND}args-prompt", "arguments": {"city": "Köln"}}
    return [
        {"as": "tools", "do": "tools", "until": BACKENDS},
        {"as": "call", "do": "call", "tool": f"{BACKEND}echo", "arguments": {"message": "Grüße 🚂"}},
        {"as": "tool_error", "do": "call", "tool": f"{BACKEND}get-sum", "arguments": {"a": "two", "b": 1}},
        {"as": "unknown", "do": "call", "tool": f"{BACKEND}nowhere", "arguments": {}},
        slow | {"as": "progress", "progress": True, "arguments": {"duration": 0.4, "steps": 4}},
        slow | {"as": "cancel", "do": "cancel", "after": 0.3, "arguments": {"duration": LONG, "steps": 3}},
        {"as": "after", "do": "call", "tool": f"{BACKEND}get-sum", "arguments": {"a": 40, "b": 2}},
        {"as": "prompts", "do": "prompts"},
        {"as": "prompt", "do": "prompt"} | prompt,
        {"as": "resources", "do": "resources"},
        {"as": "read", "do": "read", "uri": "demo://resource/dynamic/text/7"},
    ]


async def run(report, place, gateway, stdio_config):
    for kind in kinds():
        report.section(f"client: {kind.name}")
        report_of = await report.check("goes through its steps", drive(place, gateway, stdio_config, kind), 40)
        for _ in range(2):
            # An SDK forgets what comes together with the answer, even without a gateway: the busier the machine, the
            # more of it. What the gateway loses is lost each time.
            if report_of and report_of["progress"].get("progress") not in WHOLE:
                again = drive(place, gateway, stdio_config, kind)
                report_of = await report.check("goes through its steps again", again, 40)
        if report_of:
            await judge(report, kind, report_of)
            if kind.transport != "stdio":
                await report.check("leaves nothing in flight", nothing_in_flight(gateway), 8)


async def drive(place, gateway, stdio_config, kind):
    """Runs the client in a process of its own; what it reports."""
    plan = {
        "transport": kind.transport,
        "mode": kind.mode,
        "sdk": kind.sdk,
        "modules": str(place.cache / "node"),
        "url": gateway.sse_url if kind.transport == "sse" else gateway.url,
        "command": str(place.binary),
        "args": ["serve", "--stdio", "--config", str(stdio_config)],
        "env": processes.environment(),
        "steps": steps(place),
    }
    if kind.python:
        command = [place.cache / kind.python / "bin/python", HERE / "clients/python.py"]
    else:
        command = [place.node, HERE / "clients/typescript.cjs"]
    code, out, err = await processes.output_of([*command, json.dumps(plan)])
    expect(code == 0 and out, f"exit code {code}\n{err[-2000:]}")
    return json.loads(out)


async def judge(report, kind, seen):
    """One row for each thing a client can do."""
    if seen["revision"]:
        await report.check(f"speaks {kind.revision}", equal(seen["revision"], kind.revision))
    await report.check("lists the tools of all backends", lists(seen["tools"]))
    await report.check("calls a tool", has_text(seen["call"], "Echo: Grüße 🚂"))
    await report.check("is told of a tool's error", tool_error(seen["tool_error"]))
    await report.check("is told that a tool is unknown", equal(seen["unknown"].get("code"), -32602))
    await report.check("sees progress", progress(seen["progress"]))
    await report.check("gives up a call and makes the next", gives_up(seen["cancel"], seen["after"]))
    await report.check("gets a prompt", prompt(seen["prompts"], seen["prompt"]))
    await report.check("reads a resource", resource(seen["resources"], seen["read"]))


async def equal(seen, wanted):
    expect(seen == wanted, f"{seen!r} instead of {wanted!r}")


async def lists(seen):
    expect(set(BACKENDS) <= set(seen["names"]), f"not all of {BACKENDS}: {seen}")
    expect(len(set(seen["names"])) == len(seen["names"]), f"a name twice: {seen}")


async def has_text(seen, wanted):
    expect(seen.get("isError") is False and wanted in seen["text"], str(seen))


async def tool_error(seen):
    expect(seen.get("isError") is True and "expected number" in seen["text"], str(seen))


async def progress(seen):
    expect(seen.get("progress") in WHOLE, str(seen))
    expect("completed" in seen["text"], str(seen))


async def gives_up(cancelled, after):
    expect(cancelled.get("cancelled") and cancelled["seconds"] < LONG / 3, str(cancelled))
    await has_text(after, "The sum of 40 and 2 is 42.")


async def prompt(listed, got):
    expect(f"{BACKEND}args-prompt" in listed.get("names", []), str(listed))
    expect(got.get("text") == "What's weather in Köln?", str(got))


async def resource(listed, got):
    expect(any("demo://" in uri for uri in listed.get("names", [])), str(listed))
    expect(got.get("text", "").startswith("Resource 7:"), str(got))


async def nothing_in_flight(gateway):
    await gateway.until(BACKEND.removesuffix("__"), lambda backend: backend["in_flight"] == 0, 6)
