"""Serves a suite's server object to a gateway from inside the test's own event loop.

The suites' servers are closures over events and lists of the test, so they cannot run in a process of their own: over
HTTP they are served by uvicorn in the same loop, and over stdio the gateway starts `relay.py`, which is a pipe back to
this process.
"""

import contextlib
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage

RELAY = Path(__file__).with_name("relay.py")


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to pytest here."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@asynccontextmanager
async def over_http(app):
    """Serves an ASGI application on a free port; the root of its URLs. The caller enters what the application needs."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    server = QuietServer(settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            tasks.cancel_scope.cancel()


def low_level(server):
    return server._lowlevel_server if isinstance(server, MCPServer) else server


@asynccontextmanager
async def over_stdio(server):
    """What a gateway starts to reach `server`: a command, one line of JSON a message."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "server")
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, Conversation(low_level(server)))
            try:
                yield {"command": sys.executable, "args": ["-SE", str(RELAY), path]}
            finally:
                tasks.cancel_scope.cancel()


class Conversation:
    """One connection of the gateway: what a process of its own would be."""

    def __init__(self, server):
        self.server = server

    async def __call__(self, peer):
        to_server, from_peer = anyio.create_memory_object_stream(16)
        to_peer, from_server = anyio.create_memory_object_stream(16)
        async with peer, anyio.create_task_group() as tasks:
            tasks.start_soon(self.read, peer, to_server, tasks)
            tasks.start_soon(self.write, peer, from_server)
            await self.server.run(from_peer, to_peer, self.server.create_initialization_options())
            tasks.cancel_scope.cancel()

    async def read(self, peer, to_server, tasks):
        kept = b""
        try:
            async for part in peer:
                *lines, kept = (kept + part).split(b"\n")
                for line in lines:
                    message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                    await to_server.send(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            to_server.close()

    async def write(self, peer, from_server):
        try:
            async for outgoing in from_server:
                line = outgoing.message.model_dump_json(by_alias=True, exclude_unset=True)
                await peer.send(line.encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
