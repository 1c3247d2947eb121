"""One backend fails; nobody else notices, its callers are told at once, and it comes back by itself."""

import asyncio
import json
import os
import shutil
import signal
import time

import processes
from asking import answer_to, client_of, failed, text_of, tools_of
from report import SLOWEST, expect

VICTIM = "everything"
SLOW = {"duration": 30, "steps": 3}
# Seconds: less than any wait that could be in the way (connecting may take 5), far more than an answer takes on a machine
# that is busy with something else.
AT_ONCE = 4


async def run(report, place, gateway, servers):
    named = {server.name: server for server in servers}
    victim = named[VICTIM]
    await gateway.until_ready(VICTIM)
    report.section("one backend's process is killed")
    for title, work, deadline in (
        ("the call in flight is answered at once", lost_in_flight(gateway), 20),
        ("a call right after a kill is answered, once it is back or refused", right_after(gateway), 20),
        ("killed again and again, the others list and answer as before", others_untouched(gateway, servers), 60),
    ):
        before = await restarts(gateway, VICTIM)
        await report.check(title, work, deadline)
        await report.check("it returns by itself, and answers", returns(gateway, victim, before), 35)

    report.section("a remote server goes away")
    remote = named["first_sse"]
    processes.stop(remote.child)
    before = await restarts(gateway, remote.name)
    await report.check("its calls are answered at once", fails_fast(gateway, remote), 20)
    await remote.start(place.logs)
    await report.check("it is used again once it is back", returns(gateway, remote, before), 35)

    report.section("operating")
    await metrics(report, gateway, place)
    await stops(report, gateway)


def kill(gateway):
    pid = gateway.process_of("server-everything", "index.js")
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


async def lost_in_flight(gateway):
    async with client_of(gateway.url) as client:
        calling = asyncio.create_task(answer_to(client, f"{VICTIM}__trigger-long-running-operation", SLOW))
        await gateway.until(VICTIM, lambda backend: backend["in_flight"] == 1, 5)
        killed = kill(gateway)
        told(await calling, ("backend_lost",), time.monotonic() - killed)


async def right_after(gateway):
    """What was not sent is made again when the backend is back within the 5 s it may take to connect."""
    async with client_of(gateway.url) as client:
        killed = kill(gateway)
        answer = await answer_to(client, f"{VICTIM}__get-sum", {"a": 1, "b": 2})
        if failed(answer):
            told(answer, ("backend_lost", "backend_unavailable"), time.monotonic() - killed, limit=5 + AT_ONCE)
        else:
            expect("3" in text_of(answer), f"not the sum: {answer}")


def told(answer, words, seconds, limit=AT_ONCE):
    """A result that a model can read, with a word that a program can act on, and soon."""
    expect(answer.get("isError") is True, f"not a tool result with isError: {answer}")
    error = json.loads(text_of(answer))
    expect(error["error"] in words, f"{error} is none of {words}")
    expect(error["backend"] and error["message"], f"does not say who and why: {error}")
    expect(seconds < limit, f"only after {seconds:.2f} s: {error}")


async def restarts(gateway, name):
    return (await gateway.status())[name]["restarts"]


async def returned(gateway, name, before):
    """Ready may still be what it was before the kill was noticed."""
    await gateway.until(name, lambda seen: seen["state"] == "ready" and seen["restarts"] > before, 30)


async def returns(gateway, server, before):
    await returned(gateway, server.name, before)
    call = server.good[0]
    async with client_of(gateway.url) as client:
        answer = await answer_to(client, f"{server.name}__{call.tool}", call.arguments)
    expect(not failed(answer) and call.answer in text_of(answer), str(answer))


async def others_untouched(gateway, servers):
    """For some seconds one backend dies whenever it is up; nothing else waits for it or fails."""
    others = [server for server in servers if server.name != VICTIM]
    async with client_of(gateway.url) as client:
        before = await tools_of(client)
        for _ in range(3):
            died = await restarts(gateway, VICTIM)
            kill(gateway)
            for server in others:
                started = time.monotonic()
                call = server.good[-1]
                answer = await answer_to(client, f"{server.name}__{call.tool}", call.arguments)
                seconds = time.monotonic() - started
                expect(not failed(answer) and call.answer in text_of(answer), f"{server.name}: {answer}")
                expect(seconds < AT_ONCE, f"{server.name} took {seconds:.2f} s")
            seen = await tools_of(client)
            expect(seen == before, f"the list changed: {before.keys() ^ seen.keys()}")
            await returned(gateway, VICTIM, died)


async def fails_fast(gateway, server):
    call = server.good[0]
    async with client_of(gateway.url) as client:
        started = time.monotonic()
        answer = await answer_to(client, f"{server.name}__{call.tool}", call.arguments)
        told(answer, ("backend_lost", "backend_unavailable", "circuit_open"), time.monotonic() - started)


async def metrics(report, gateway, place):
    status, text = await gateway.get("/metrics")
    title = "/metrics passes promtool"
    if not shutil.which("promtool"):
        report.skip(title, "promtool is not installed")
        return
    (place.work / "metrics").write_text(text)
    await report.check(title, promtool(status, place.work / "metrics"))


async def promtool(status, page):
    expect(status == 200 and page.read_text(), f"status {status}")
    code, out, err = await processes.output_of(["sh", "-c", 'promtool check metrics <"$0"', page])
    expect(code == 0, f"exit code {code}\n{out}{err}")


async def stops(report, gateway):
    below = processes.descendants(gateway.child.pid)
    await report.check(f"SIGTERM with {len(below)} processes below: exit code 0", stops_with(gateway, 0), 25)
    await report.check("none of them is left", nobody_left(lambda: list(filter(processes.is_alive, below))), 5)
    await report.check("nothing is left of the gateways that clients launched", nobody_left(processes.strays), 5)


async def stops_with(gateway, wanted):
    code = await gateway.stop(20)
    expect(code == wanted, f"exit code {code}")


async def nobody_left(living):
    # The kernel may need a moment to take away what was killed.
    until = time.monotonic() + 2 * SLOWEST
    while left := living():
        expect(time.monotonic() < until, "\n".join(f"{pid} {processes.command_line(pid)}" for pid in left))
        await asyncio.sleep(0.1)
