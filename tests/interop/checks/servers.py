"""The servers behind the gateway: how each is started, configured, and reached without the gateway."""

from dataclasses import dataclass, field
from pathlib import Path

import processes
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client

HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Call:
    """A call, and what its answer has to contain."""

    tool: str
    arguments: dict
    answer: str


@dataclass
class Server:
    """One server: its entry under `backends:`, and what it is asked."""

    name: str
    origin: str
    entry: dict
    good: list
    bad: Call
    # Without the gateway it is reached as its entry says, unless the entry is not the whole story.
    direct: dict = field(default=None)
    # What has to run before the gateway starts, and where it will listen.
    launch: list = field(default=None)
    port: int = field(default=None)
    variables: dict = field(default_factory=dict)

    async def start(self, logs):
        if self.launch:
            options = {"env": processes.environment(**self.variables)}
            self.child = processes.start(self.launch, logs / f"{self.name}.log", **options)
            await processes.listening(self.port, self.child)

    async def restart(self, logs):
        processes.stop(self.child)
        await self.start(logs)

    def target(self):
        """What the Python client is given to reach it without the gateway."""
        entry = self.direct or self.entry
        if "command" in entry:
            command, *args = [entry["command"], *entry.get("args", [])]
            launched = StdioServerParameters(command=command, args=args, env=processes.environment())
            return stdio_client(launched, errlog=processes.NOWHERE)
        return sse_client(entry["url"]) if entry.get("type") == "sse" else entry["url"]


def npm(place):
    modules = place.cache / "node/node_modules/@modelcontextprotocol"
    everything = modules / "server-everything/dist/index.js"
    files = place.work / "files"
    files.mkdir()
    (files / "track.txt").write_text("Gleis 3 → Köln\n", encoding="utf-8")
    http, sse = processes.free_ports(2)
    asked = dict(
        good=[
            Call("get-sum", {"a": 2, "b": 40}, "The sum of 2 and 40 is 42."),
            Call("echo", {"message": 'Grüße 🚂\t"quoted" \u2028 end'}, 'Grüße 🚂\t"quoted" \u2028 end'),
            Call("get-structured-content", {"location": "Chicago"}, "drizzle"),
        ],
        bad=Call("get-sum", {"a": "two", "b": 40}, "expected number"),
    )
    origin = "npm server-everything"
    # It is killed so often on purpose that it would be held.
    victim = {**stdio(place.node, everything), "restart": {"hold": "1s"}}
    yield Server("everything", f"{origin}, stdio", victim, **asked)
    for way, port, path in (("streamableHttp", http, "/mcp"), ("sse", sse, "/sse")):
        kind = "http" if path == "/mcp" else "sse"
        yield Server(
            f"everything_{kind}",
            f"{origin}, {'HTTP+SSE' if kind == 'sse' else 'Streamable HTTP'}",
            {"url": f"http://127.0.0.1:{port}{path}", "type": kind},
            **asked,
            launch=[place.node, everything, way],
            port=port,
            variables={"PORT": str(port)},
        )
    yield Server(
        "files",
        "npm server-filesystem, stdio",
        stdio(place.node, modules / "server-filesystem/dist/index.js", files),
        good=[Call("read_text_file", {"path": str(files / "track.txt")}, "Gleis 3 → Köln\n")],
        bad=Call("read_text_file", {"path": str(place.work / "outside.txt")}, "Access denied"),
    )


def pypi(place):
    yield Server(
        "clock",
        "PyPI mcp-server-time, stdio",
        stdio(place.cache / "current/bin/mcp-server-time", "--local-timezone", "UTC"),
        good=[
            Call(
                "convert_time",
                {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "Asia/Kolkata"},
                "-3.5h",
            )
        ],
        bad=Call("get_current_time", {"timezone": "Nowhere/Land"}, "Nowhere/Land"),
    )
    write = "INSERT OR REPLACE INTO engines VALUES ('2–8–2')"
    query = "SELECT wheel, 6 * 7 AS answer FROM engines"
    yield Server(
        "sqlite",
        "PyPI mcp-server-sqlite, stdio",
        stdio(place.cache / "previous/bin/mcp-server-sqlite", "--db-path", place.work / "engines.db"),
        good=[
            Call("create_table", {"query": "CREATE TABLE IF NOT EXISTS engines (wheel TEXT UNIQUE)"}, "success"),
            Call("write_query", {"query": write}, "[{'affected_rows': 1}]"),
            Call("read_query", {"query": query}, "[{'wheel': '2–8–2', 'answer': 42}]"),
        ],
        bad=Call("read_query", {}, "'query' is a required property"),
    )


def own(place):
    """Servers written here on SDKs that were not: the first SDK, and the newest one's example."""
    python, script = place.cache / "first/bin/python", HERE / "servers/lowlevel.py"
    sse, modern = processes.free_ports(2)
    asked = dict(
        good=[Call("add", {"a": 19, "b": 23}, "19 + 23 = 42")],
        bad=Call("divide", {"a": 1, "b": 0}, "division by zero"),
    )
    yield Server("first", "PyPI mcp 1.0.0, low-level, stdio", stdio(python, script), **asked)
    yield Server(
        "first_sse",
        "PyPI mcp 1.0.0, low-level, HTTP+SSE under uvicorn",
        {"url": f"http://127.0.0.1:{sse}/sse", "type": "sse"},
        **asked,
        launch=[python, script, sse],
        port=sse,
    )
    yield Server(
        "new",
        "PyPI mcp 2.x everything-server, Streamable HTTP",
        {"url": f"http://127.0.0.1:{modern}/mcp"},
        good=[
            Call("test_simple_text", {}, "simple text"),
            Call("test_multiple_content_types", {}, ""),
            Call("test_embedded_resource", {}, ""),
        ],
        bad=Call("test_error_handling", {}, "error"),
        launch=[place.cache / "current/bin/mcp-everything-server", "--port", modern, "--log-level", "WARNING"],
        port=modern,
    )


def demo(place):
    """The demo servers inside the binary; for the direct look a second copy of each runs."""
    api, search = processes.free_ports(2)
    database = place.work / "crm.sqlite"
    yield Server(
        "crm",
        "switchyard demo crm, stdio",
        {"command": "switchyard", "args": ["demo", "crm", "--db", str(database)]},
        direct=stdio(place.binary, "demo", "crm", "--db", database),
        good=[Call("get_customer", {"id": 1}, '"id":1')],
        bad=Call("get_customer", {"id": 999_999}, "999999"),
    )
    yield Server(
        "api",
        "switchyard demo api, launched, Streamable HTTP",
        {
            "command": "switchyard",
            "args": ["demo", "api", "--port", "${free_port}"],
            "url": "http://127.0.0.1:${free_port}/mcp",
        },
        direct={"url": f"http://127.0.0.1:{api}/mcp"},
        good=[Call("check_stock", {"sku": "POT-BLU"}, "POT-BLU")],
        bad=Call("flaky", {"mode": "tool_error"}, "failed, as you asked"),
        launch=[place.binary, "demo", "api", "--port", api],
        port=api,
    )
    yield Server(
        "search",
        "switchyard demo search, launched, HTTP+SSE",
        {
            "command": "switchyard",
            "args": ["demo", "search", "--port", "${free_port}"],
            "url": "http://127.0.0.1:${free_port}/sse",
            "type": "sse",
        },
        direct={"url": f"http://127.0.0.1:{search}/sse", "type": "sse"},
        good=[Call("search_docs", {"query": "breaker", "limit": 2}, "docs://")],
        bad=Call("read_section", {"uri": "docs://nowhere"}, "docs://nowhere"),
        launch=[place.binary, "demo", "search", "--port", search],
        port=search,
    )


def stdio(command, *args):
    return {"command": str(command), "args": [str(arg) for arg in args]}


def all_servers(place):
    return [*npm(place), *pypi(place), *own(place), *demo(place)]


def dead_entries():
    """Two backends that never come up: nothing listens, nothing can be launched."""
    [port] = processes.free_ports(1)
    return {
        "dead_url": {"url": f"http://127.0.0.1:{port}/mcp"},
        "dead_command": {"command": "/nonexistent/server"},
    }
