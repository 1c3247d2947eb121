"""The contract of the matrix on the Python SDK 1.x.

    previous.py NAME (stdio | http PORT | sse PORT)
"""

import sys
from pathlib import Path

import anyio
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent
from pydantic import AnyUrl, BaseModel

name, way, *port = sys.argv[1:]
app = FastMCP(name, host="127.0.0.1", port=int(port[0]) if port else 0, log_level="WARNING")
note = f"note://{name}/today"
subscribers = set()


class Name(BaseModel):
    name: str


@app.tool()
async def echo(text: str) -> str:
    return text


@app.tool()
async def progress(ctx: Context) -> str:
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3)
        # Some clients take no progress that comes together with the answer.
        await anyio.sleep(0.05)
    return "done"


@app.tool()
async def slow(record: str) -> str:
    """Says in a file that it began, and that it was given up."""
    Path(record).write_text("started")
    try:
        await anyio.sleep(30)
    except anyio.get_cancelled_exc_class():
        Path(record).write_text("cancelled")
        raise
    return "done"


@app.tool()
async def ask(ctx: Context) -> str:
    answer = await ctx.elicit("Who are you?", Name)
    return f"Hello, {answer.data.name}!"


@app.tool()
async def sample(ctx: Context) -> str:
    messages = [SamplingMessage(role="user", content=TextContent(type="text", text="Say something."))]
    result = await ctx.session.create_message(messages, max_tokens=20, related_request_id=ctx.request_id)
    return f"The model said {result.content.text}"


@app.tool()
async def touch() -> str:
    for session in list(subscribers):
        try:
            await session.send_resource_updated(AnyUrl(note))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            # A client that left without a word.
            subscribers.discard(session)
    return "touched"


@app.resource(note)
def today() -> str:
    return "a note"


@app._mcp_server.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    subscribers.add(app._mcp_server.request_context.session)


@app._mcp_server.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    subscribers.discard(app._mcp_server.request_context.session)


app.run({"stdio": "stdio", "http": "streamable-http", "sse": "sse"}[way])
