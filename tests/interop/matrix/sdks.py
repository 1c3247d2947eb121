"""The five SDKs: how each is started as a server, and how as a client."""

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TOOLS = ["echo", "progress", "slow", "ask", "sample", "touch"]


@dataclass(frozen=True)
class Place:
    """Where things are."""

    binary: Path
    peer: Path
    cache: Path
    node: Path
    work: Path

    @property
    def modules(self):
        return self.cache / "node/node_modules"

    def python(self, which):
        return self.cache / which / "bin/python"


@dataclass(frozen=True)
class Backend:
    """A server of one SDK over one transport; the name says which."""

    sdk: str
    way: str
    command: list
    variables: dict = field(default_factory=dict)

    @property
    def name(self):
        return "".join(letter if letter.isalnum() else "_" for letter in f"{self.sdk} {self.way}".lower())

    @property
    def note(self):
        return f"note://{self.name}/today"


@dataclass(frozen=True)
class Client:
    """A client of one SDK; `mode` is how it finds out which era to speak."""

    sdk: str
    ways: tuple
    command: list
    mode: object = "auto"
    more: dict = field(default_factory=dict)


RMCP, PYTHON_1, PYTHON_2, TYPESCRIPT_1, TYPESCRIPT_2 = (
    "rmcp 3.11",
    "Python 1.30",
    "Python 2.3",
    "TypeScript 1.x",
    "TypeScript 2.x",
)
MODERN_RMCP = "rmcp 3.11, 2026 only"
MODERN_TYPESCRIPT = "TypeScript 2.x, 2026 only"


def backends(place):
    """Every SDK over every transport it can serve."""
    servers = HERE / "servers"
    modules = {"INTEROP_MODULES": str(place.modules)}
    kinds = [
        (RMCP, ("http", "stdio"), [place.peer, "serve"], {}),
        (PYTHON_1, ("http", "stdio", "sse"), [place.python("previous"), servers / "previous.py"], {}),
        (PYTHON_2, ("http", "stdio", "sse"), [place.python("current"), servers / "current.py"], {}),
        (TYPESCRIPT_1, ("http", "stdio", "sse"), [place.node, servers / "typescript-1.cjs"], modules),
        (TYPESCRIPT_2, ("http", "stdio"), [place.node, servers / "typescript-2.cjs"], modules),
        (MODERN_RMCP, ("http", "stdio"), [place.peer, "serve"], {}),
    ]
    for sdk, ways, command, variables in kinds:
        for way in ways:
            yield Backend(sdk, way, [str(word) for word in command], variables)


def words(backend, port):
    """What follows the command on its line."""
    if not backend.sdk.startswith("rmcp"):
        return [backend.name, backend.way, *([str(port)] if port else [])]
    era = "modern" if backend.sdk == MODERN_RMCP else "both"
    return [backend.name, "--era", era, *(["--port", str(port)] if port else ["--stdio"])]


def clients(place):
    visit = HERE / "clients"
    first, second = {"modules": str(place.modules), "sdk": 1}, {"modules": str(place.modules), "sdk": 2}
    every, no_sse = ("http", "stdio", "sse"), ("http", "stdio")
    return [
        Client(RMCP, no_sse, [place.peer, "visit"]),
        Client(PYTHON_1, every, [place.python("previous"), visit / "matrix.py"], mode="legacy"),
        Client(PYTHON_2, every, [place.python("current"), visit / "matrix.py"]),
        Client(TYPESCRIPT_1, every, [place.node, visit / "matrix.cjs"], mode="legacy", more=first),
        Client(TYPESCRIPT_2, every, [place.node, visit / "matrix.cjs"], more=second),
        Client(
            MODERN_TYPESCRIPT,
            no_sse,
            [place.node, visit / "matrix.cjs"],
            mode={"pin": "2026-07-28"},
            more=second,
        ),
    ]
