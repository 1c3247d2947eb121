"""Drives the gateway with the Python SDK, 1.x or 2.x, whichever this interpreter has.

Takes a plan as a JSON argument, prints what happened as JSON on standard output.
"""

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager

from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters

try:
    from mcp import Client, MCPError
except ImportError:
    from mcp import ClientSession, McpError as MCPError
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamablehttp_client

    Client = None


@asynccontextmanager
async def connected(plan):
    """A client after its handshake, and the revision agreed on."""
    if plan["transport"] == "stdio":
        target = StdioServerParameters(command=plan["command"], args=plan["args"], env=plan["env"])
    else:
        target = plan["url"]
    if Client:
        target = sse_client(target) if plan["transport"] == "sse" else target
        async with Client(target, mode=plan["mode"], cache=None) as client:
            yield client, client.protocol_version
        return
    open_streams = {"stdio": stdio_client, "sse": sse_client, "http": streamablehttp_client}[plan["transport"]]
    async with open_streams(target) as streams, ClientSession(streams[0], streams[1]) as session:
        yield session, (await session.initialize()).protocolVersion


def field(result, name, old_name):
    return getattr(result, name, None) if hasattr(result, name) else getattr(result, old_name)


def text_of(blocks):
    return "".join(getattr(block, "text", "") or "" for block in blocks)


async def call(client, step):
    seen = []

    async def progress(done, total, message):
        seen.append([done, total])

    callback = progress if step.get("progress") else None
    result = await client.call_tool(step["tool"], step["arguments"], progress_callback=callback)
    return {"text": text_of(result.content), "isError": bool(field(result, "is_error", "isError")), "progress": seen}


async def cancel(client, step):
    """Gives up a call, and says how long giving up took."""
    calling = asyncio.create_task(call(client, step))
    await asyncio.sleep(step["after"])
    started = time.monotonic()
    calling.cancel()
    [outcome] = await asyncio.gather(calling, return_exceptions=True)
    return {"cancelled": isinstance(outcome, asyncio.CancelledError), "seconds": time.monotonic() - started}


async def tools(client, step):
    """All tools, as soon as those that are waited for are among them."""
    while True:
        names, cursor = [], None
        while not names or cursor:
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = field(page, "next_cursor", "nextCursor")
            if not page.tools:
                break
        if set(step["until"]) <= set(names):
            return {"names": names}
        await asyncio.sleep(0.2)


async def perform(client, step):
    match step["do"]:
        case "tools":
            return await tools(client, step)
        case "call":
            return await call(client, step)
        case "cancel":
            return await cancel(client, step)
        case "prompts":
            return {"names": [prompt.name for prompt in (await client.list_prompts()).prompts]}
        case "prompt":
            result = await client.get_prompt(step["name"], step["arguments"])
            return {"text": text_of(message.content for message in result.messages)}
        case "resources":
            return {"names": [str(resource.uri) for resource in (await client.list_resources()).resources]}
        case "read":
            return {"text": text_of((await client.read_resource(step["uri"])).contents)}
        case other:
            raise ValueError(f"no such step: {other}")


async def main(plan):
    async with connected(plan) as (client, revision):
        report = {"revision": revision}
        for step in plan["steps"]:
            try:
                report[step["as"]] = await perform(client, step)
            except MCPError as error:
                report[step["as"]] = {"code": error.error.code, "message": error.error.message}
    json.dump(report, sys.stdout)


asyncio.run(main(json.loads(sys.argv[1])))
