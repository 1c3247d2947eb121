"""The contract of the matrix on the Python SDK 2.x, which speaks both eras.

    current.py NAME (stdio | http PORT | sse PORT)
"""

import sys
from typing import Annotated

from mcp.server import ServerRequestContext
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve, Sample
from mcp.types import (
    CreateMessageResult,
    EmptyResult,
    SamplingMessage,
    SubscribeRequestParams,
    TextContent,
    UnsubscribeRequestParams,
)

from contract import Name, echo, report, slow, tell

name, way, *port = sys.argv[1:]
app = MCPServer(name=name, log_level="WARNING")
note = f"note://{name}/today"
# Of the era with a handshake; in the other one the SDK knows who listens.
subscribers = set()


def who() -> Elicit[Name]:
    return Elicit("Who are you?", Name)


def something() -> Sample:
    said = TextContent(type="text", text="Say something.")
    return Sample([SamplingMessage(role="user", content=said)], max_tokens=20)


app.tool()(echo)
app.tool()(slow)


@app.tool()
async def progress(ctx: Context) -> str:
    return await report(ctx)


@app.tool()
async def ask(answer: Annotated[Name, Resolve(who)]) -> str:
    return f"Hello, {answer.name}!"


@app.tool()
async def sample(answer: Annotated[CreateMessageResult, Resolve(something)]) -> str:
    return f"The model said {answer.content.text}"


@app.tool()
async def touch(ctx: Context) -> str:
    await ctx.notify_resource_updated(note)
    return await tell(subscribers, note)


@app.resource(note)
def today() -> str:
    return "a note"


async def subscribe(ctx: ServerRequestContext, params: SubscribeRequestParams) -> EmptyResult:
    subscribers.add(ctx.session)
    return EmptyResult()


async def unsubscribe(ctx: ServerRequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
    subscribers.discard(ctx.session)
    return EmptyResult()


lowlevel = app._lowlevel_server
lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)

if way == "stdio":
    app.run("stdio")
else:
    app.run("streamable-http" if way == "http" else "sse", port=int(port[0]))
