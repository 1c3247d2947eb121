"""The contract of the matrix on the Python SDK 1.x.

    previous.py NAME (stdio | http PORT | sse PORT)
"""

import sys

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent
from pydantic import AnyUrl

from contract import Name, echo, report, slow, tell

name, way, *port = sys.argv[1:]
app = FastMCP(name, host="127.0.0.1", port=int(port[0]) if port else 0, log_level="WARNING")
note = f"note://{name}/today"
subscribers = set()


app.tool()(echo)
app.tool()(slow)


@app.tool()
async def progress(ctx: Context) -> str:
    return await report(ctx)


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
    return await tell(subscribers, AnyUrl(note))


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
