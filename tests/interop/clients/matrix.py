"""Goes through the steps of the matrix with the Python SDK, 1.x or 2.x, whichever this interpreter has.

Takes a plan as a JSON argument; prints one line of JSON for each target.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CreateMessageResult, ElicitResult, TextContent
from pydantic import AnyUrl

try:
    from mcp import Client
except ImportError:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    Client = None

# Seconds, longer than anything takes that works.
PATIENCE = json.loads(sys.argv[1])["patience"]
QUIET = open("/dev/null", "w")


async def elicited(context, params):
    return ElicitResult(action="accept", content={"name": "Ada"})


async def sampled(context, params):
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="hi"), model="none")


@asynccontextmanager
async def connected(target, heard):
    """A client after its handshake, which remembers the resources it was told about."""

    async def message(told):
        told = getattr(told, "root", told)
        if getattr(told, "method", "") == "notifications/resources/updated":
            heard.put_nowait(str(told.params.uri))

    asked = dict(elicitation_callback=elicited, sampling_callback=sampled, message_handler=message)
    if target["transport"] == "stdio":
        launched = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
        streams = stdio_client(launched, errlog=QUIET)
    else:
        streams = sse_client(target["url"]) if target["transport"] == "sse" else target["url"]
    if Client:
        async with Client(streams, mode=target["mode"], cache=None, read_timeout_seconds=PATIENCE, **asked) as client:
            yield client
        return
    streams = streamablehttp_client(streams) if isinstance(streams, str) else streams
    asked["read_timeout_seconds"] = timedelta(seconds=PATIENCE)
    async with streams as opened, ClientSession(opened[0], opened[1], **asked) as session:
        session.revision = (await session.initialize()).protocolVersion
        yield session


def revision(client):
    return client.protocol_version if Client else client.revision


async def text_of(client, tool, arguments, **more):
    return (await client.call_tool(tool, arguments, **more)).content[0].text


def same(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{seen!r} instead of {wanted!r}")


class Steps:
    """Each step returns if all is well."""

    def __init__(self, client, target, heard):
        self.client, self.target, self.heard = client, target, heard
        self.prefix, self.note = target["prefix"], target["note"]

    async def call(self, tool, arguments=None, **more):
        return await text_of(self.client, self.prefix + tool, arguments or {}, **more)

    async def do_list(self):
        wanted = {self.prefix + tool for tool in self.target["tools"]}
        # A gateway that was launched just now does not keep anybody waiting for what it does not know yet.
        for _ in range(50):
            if wanted <= (tools := await self.tools()):
                break
            await asyncio.sleep(0.2)
        same(wanted - tools, set())
        uris = {str(resource.uri) for resource in (await self.client.list_resources()).resources}
        same(self.note in uris, True)

    async def tools(self):
        tools, cursor = set(), None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            tools |= {tool.name for tool in page.tools}
            cursor = page.next_cursor if Client else page.nextCursor
            if not cursor:
                return tools

    async def do_call(self):
        same(await self.call("echo", {"text": "Grüße 🚂"}), "Grüße 🚂")

    async def do_progress(self):
        seen = []

        async def progress(done, total, message):
            seen.append([done, total])

        same(await self.call("progress", progress_callback=progress), "done")
        # The last of them may still be on its way through the SDK.
        for _ in range(20):
            if len(seen) == 3:
                break
            await asyncio.sleep(0.05)
        same(seen, [[1, 3], [2, 3], [3, 3]])

    async def do_cancel(self):
        record = Path(self.target["record"])
        if not Client:
            return await self.cancel_by_hand(record)
        calling = asyncio.create_task(self.call("slow", {"record": str(record)}))
        await written(record, "started", calling)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await written(record, "cancelled")

    async def cancel_by_hand(self, record):
        """This SDK leaves it to its user to say that a request is given up."""
        from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification

        id = self.client._request_id
        calling = asyncio.create_task(self.call("slow", {"record": str(record)}))
        await written(record, "started", calling)
        params = CancelledNotificationParams(requestId=id, reason="no longer wanted")
        await self.client.send_notification(ClientNotification(CancelledNotification(params=params)))
        await written(record, "cancelled")
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    async def do_elicit(self):
        same(await self.call("ask"), "Hello, Ada!")

    async def do_sample(self):
        same(await self.call("sample"), "The model said hi")

    async def do_subscribe(self):
        async with AsyncExitStack() as stack:
            if Client and revision(self.client) >= "2026":
                listening = self.client.listen(resource_subscriptions=[self.note])
                stream = await stack.enter_async_context(listening)
                same(await self.call("touch"), "touched")
                event = await asyncio.wait_for(anext(stream), 5)
                return same(str(event.uri), self.note)
            await self.client.subscribe_resource(self.note if Client else AnyUrl(self.note))
            same(await self.call("touch"), "touched")
            same(await asyncio.wait_for(self.heard.get(), 5), self.note)


async def written(file, wanted, unless=None):
    """Waits until a server wrote `wanted` to `file`, or `unless` ended first."""
    for _ in range(20 * PATIENCE):
        if file.exists() and file.read_text() == wanted:
            return
        if unless and unless.done():
            raise AssertionError(f"the call ended at once: {unless.exception() or unless.result()}")
        await asyncio.sleep(0.05)
    raise AssertionError(f"the server never was at {wanted!r}")


async def attempt(step):
    try:
        await asyncio.wait_for(step, PATIENCE)
    except Exception as error:
        return reason(error)
    return None


def reason(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]


async def visit(target, steps):
    report = {"target": target["name"], "revision": None, "steps": {}}
    heard = asyncio.Queue()

    async def everything():
        async with connected(target, heard) as client:
            report["revision"] = revision(client)
            through = Steps(client, target, heard)
            for step in steps:
                report["steps"][step] = await attempt(getattr(through, f"do_{step}")())

    # A client that does not come to its end is no reason to lose what it has seen.
    try:
        await asyncio.wait_for(everything(), PATIENCE * 4)
    except BaseException as error:
        report["error"] = reason(error)
    print(json.dumps(report), flush=True)


async def main(plan):
    gate = asyncio.Semaphore(plan["at_once"])

    async def one(target):
        async with gate:
            await visit(target, plan["steps"])

    await asyncio.gather(*[one(target) for target in plan["targets"]])


asyncio.run(main(json.loads(sys.argv[1])))
