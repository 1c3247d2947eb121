"""A server as the first tutorials taught to write one: `Server`, `@app.list_tools()`, `@app.call_tool()`.

Runs on mcp 1.0.0, over standard input and output, or over HTTP+SSE when a port is given.
"""

import asyncio
import sys

from mcp.server import Server
from mcp.types import TextContent, Tool

app = Server("lowlevel")


@app.list_tools()
async def list_tools() -> list[Tool]:
    numbers = {"a": {"type": "number"}, "b": {"type": "number"}}
    schema = {"type": "object", "properties": numbers, "required": ["a", "b"]}
    return [
        Tool(name="add", description="Adds two numbers", inputSchema=schema),
        Tool(name="divide", description="Divides a by b", inputSchema=schema),
    ]


@app.call_tool()
async def call_tool(name: str, arguments: dict) -> list[TextContent]:
    a, b = arguments["a"], arguments["b"]
    if name == "add":
        return [TextContent(type="text", text=f"{a} + {b} = {a + b}")]
    if name == "divide":
        return [TextContent(type="text", text=f"{a} / {b} = {a / b}")]
    raise ValueError(f"unknown tool: {name}")


async def serve_stdio() -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await app.run(read, write, app.create_initialization_options())


def serve_sse(port: int) -> None:
    import uvicorn
    from mcp.server.sse import SseServerTransport
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    sse = SseServerTransport("/messages/")

    async def handle_sse(request):
        async with sse.connect_sse(request.scope, request.receive, request._send) as streams:
            await app.run(streams[0], streams[1], app.create_initialization_options())
        return Response()

    routes = [Route("/sse", endpoint=handle_sse), Mount("/messages/", app=sse.handle_post_message)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_sse(int(sys.argv[1]))
    else:
        asyncio.run(serve_stdio())
