"""How is one cell's server started, with or without the gateway in front of it?"""

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .cells import Backend, Cell
from .processes import Process, backends_ready, free_port, listens

# The example's own command line knows HTTP only.
PYTHON_STDIO = "from mcp_everything_server.server import mcp; mcp.run('stdio')"


@dataclass
class Programs:
    gateway: Path
    fixture: Path
    # By era: the environments that hold the example server of a current and of an older Python SDK.
    python: dict[str, Path]
    logs: Path


def own_command(programs: Programs, backend: Backend) -> list:
    hidden = ["--hide-watched"] if backend.hides_watched else []
    return [programs.fixture, "--era", backend.eras, *hidden]


def http_command(programs: Programs, backend: Backend, port: int) -> list:
    if backend.maker == "own":
        return [*own_command(programs, backend), "--port", port]
    return [programs.python[backend.eras] / "bin/mcp-everything-server", "--port", port]


def stdio_command(programs: Programs, backend: Backend) -> list:
    if backend.maker == "own":
        return [*own_command(programs, backend), "--stdio"]
    return [programs.python[backend.eras] / "bin/python", "-c", PYTHON_STDIO]


@contextmanager
def started(programs: Programs, cell: Cell):
    """The URL the suite is to test; everything behind it runs until the block ends."""
    with ExitStack() as stack:
        log = str(programs.logs / cell.name.replace("/", "_"))
        if cell.way == "direct":
            yield http_server(stack, programs, cell.backend, f"{log}.backend")
            return
        backends = {"reference": {"prefix": "", **entry(stack, programs, cell, f"{log}.backend")}}
        if cell.way.endswith("crowd"):
            second = Backend("own", "both")
            backends["second"] = {"url": http_server(stack, programs, second, f"{log}.second")}
            backends["dead"] = {"url": f"http://127.0.0.1:{free_port()}/mcp"}
        yield gateway(stack, programs, backends, log)


def entry(stack: ExitStack, programs: Programs, cell: Cell, log: str) -> dict:
    if cell.way.startswith("stdio"):
        command, *words = [str(word) for word in stdio_command(programs, cell.backend)]
        return {"command": command, "args": words}
    return {"url": http_server(stack, programs, cell.backend, log)}


def http_server(stack: ExitStack, programs: Programs, backend: Backend, log: str) -> str:
    port = free_port()
    server = stack.enter_context(Process(http_command(programs, backend, port), log))
    server.wait_for(backend.name, lambda: listens(port))
    return f"http://127.0.0.1:{port}/mcp"


def gateway(stack: ExitStack, programs: Programs, backends: dict, log: str) -> str:
    port, admin = free_port(), free_port()
    settings = {
        "server": {"listen": f"127.0.0.1:{port}"},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "state_dir": f"{log}.state",
        "backends": backends,
    }
    # JSON is YAML.
    Path(f"{log}.yaml").write_text(json.dumps(settings, indent=2))
    command = [programs.gateway, "serve", "--config", f"{log}.yaml"]
    server = stack.enter_context(Process(command, f"{log}.gateway"))
    alive = set(backends) - {"dead"}
    server.wait_for("the gateway", lambda: backends_ready(admin, alive))
    return f"http://127.0.0.1:{port}/mcp"
