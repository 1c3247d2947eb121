"""The server that the first tutorials have people write, in the forms in which they run it. Runs on mcp 1.0.0.

    tutorial.py                  over standard input and output
    tutorial.py sse PORT         HTTP+SSE, with a transport and a `Mount` at `/messages`: each POST is redirected (307)
    tutorial.py hardened PORT    the same behind what people put before it: a key, a balancer that is sticky by cookie,
                                 compression
"""

import asyncio
import gzip
import sys

from mcp.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.types import Resource, TextContent, Tool

KEY = "Bearer tutorial-key"

server = Server("tutorial")
notes: dict[str, str] = {"first": "hello"}


@server.list_resources()
async def list_resources() -> list[Resource]:
    return [
        Resource(uri=f"note://internal/{name}", name=f"Note {name}", description="A note", mimeType="text/plain")
        for name in notes
    ]


@server.read_resource()
async def read_resource(uri) -> str:
    return notes[str(uri).rsplit("/", 1)[-1]]


@server.list_tools()
async def list_tools() -> list[Tool]:
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"name": text, "content": text}, "required": ["name", "content"]}
    return [Tool(name="add-note", description="Adds a note", inputSchema=schema)]


@server.call_tool()
async def call_tool(name: str, arguments: dict | None) -> list[TextContent]:
    if name != "add-note" or not arguments:
        raise ValueError(f"unknown tool: {name}")
    notes[arguments["name"]] = arguments["content"]
    return [TextContent(type="text", text=f"added note {arguments['name']}: {arguments['content']}")]


def options() -> InitializationOptions:
    capabilities = server.get_capabilities(notification_options=NotificationOptions(), experimental_capabilities={})
    return InitializationOptions(server_name="tutorial", server_version="0.1.0", capabilities=capabilities)


async def over_stdio() -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, options())


def application():
    from mcp.server.sse import SseServerTransport
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    transport = SseServerTransport("/messages")

    async def sse(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
            await server.run(streams[0], streams[1], options())
        return Response()

    return Starlette(routes=[Route("/sse", endpoint=sse), Mount("/messages", app=transport.handle_post_message)])


def hardened(app):
    """Refuses who has no key, and POSTs that do not come back to this node; compresses what is said to POSTs."""

    async def guarded(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        given = {name.decode(): value.decode() for name, value in scope["headers"]}
        if given.get("authorization") != KEY:
            return await refuse(send, 403, b"no key")
        if scope["method"] == "POST" and "node=n1" not in given.get("cookie", ""):
            return await refuse(send, 404, b"no such session")
        await app(scope, receive, Answer(send, scope["method"] == "POST"))

    return guarded


class Answer:
    """Sets the cookie, and compresses the body if that may be done as a whole."""

    def __init__(self, send, compresses):
        self.send, self.compresses, self.start, self.body = send, compresses, None, b""

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name != b"content-length"]
            self.start = {**message, "headers": [*kept, (b"set-cookie", b"node=n1; Path=/; HttpOnly")]}
            if not self.compresses:
                await self.send(self.start)
            return
        if not self.compresses:
            return await self.send(message)
        self.body += message.get("body", b"")
        if not message.get("more_body"):
            body = gzip.compress(self.body)
            length = (b"content-length", str(len(body)).encode())
            self.start["headers"] += [(b"content-encoding", b"gzip"), length]
            await self.send(self.start)
            await self.send({"type": "http.response.body", "body": body})


async def refuse(send, status, body):
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        asyncio.run(over_stdio())
    else:
        import uvicorn

        app = application() if sys.argv[1] == "sse" else hardened(application())
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
