"""Which runs of the suite make up the matrix?"""

from dataclasses import dataclass
from itertools import product

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
REVISIONS = (LEGACY, MODERN)


@dataclass(frozen=True)
class Backend:
    """A server to put behind the gateway: the fixture of this repository, or the example of a Python SDK."""

    maker: str
    eras: str
    # Whether its watched resource is in no list, as that of the Rust SDK's example server is.
    hides_watched: bool = False

    @property
    def name(self) -> str:
        return f"{self.maker}-{self.eras}" + ("-unlisted" if self.hides_watched else "")


OWN = tuple(Backend("own", eras) for eras in ("both", "legacy", "modern"))
PYTHON = (Backend("python", "both"), Backend("python", "legacy"))
UNLISTED = (Backend("own", "both", True), Backend("own", "legacy", True))


@dataclass(frozen=True)
class Cell:
    """One run: a client of one revision, before one backend, reached in one way."""

    revision: str
    backend: Backend
    way: str

    @property
    def name(self) -> str:
        return f"{self.revision}/{self.backend.name}/{self.way}"


@dataclass(frozen=True)
class ClientCell:
    """One run the other way round: the suite's mock servers are the backends."""

    revision: str

    @property
    def name(self) -> str:
        return f"{self.revision}/as-client"


# "crowd" is the reference under an empty prefix beside a second backend with names of its own and a dead one.
WAYS = ("direct", "http", "http-crowd", "stdio", "stdio-crowd")
# In a crowd the second backend lists a resource of the same name.
ALONE = ("direct", "http", "stdio")
QUICK = {
    f"{LEGACY}/own-both/direct", f"{MODERN}/own-both/direct",
    f"{LEGACY}/own-both/http-crowd", f"{MODERN}/own-both/http-crowd",
    f"{MODERN}/own-legacy/http", f"{LEGACY}/own-modern/stdio",
    f"{LEGACY}/own-legacy-unlisted/http", f"{LEGACY}/own-both-unlisted/stdio",
    f"{LEGACY}/as-client", f"{MODERN}/as-client",
}


def speaks(backend: Backend, revision: str) -> bool:
    return backend.eras == "both" or (backend.eras == "legacy") == (revision == LEGACY)


def matrix() -> list[Cell | ClientCell]:
    server = [Cell(revision, backend, way) for backend, revision, way in product(OWN + PYTHON, REVISIONS, WAYS)]
    # Only clients of the legacy era are asked by the suite to watch a resource.
    server += [Cell(LEGACY, backend, way) for backend, way in product(UNLISTED, ALONE)]
    # Without a gateway between them, a client and a server of different eras have nothing to say to each other.
    server = [cell for cell in server if cell.way != "direct" or speaks(cell.backend, cell.revision)]
    return server + [ClientCell(revision) for revision in REVISIONS]


def reference(cell: Cell) -> str:
    """The direct run that shows how many checks each scenario has when nothing is hollow."""
    if not speaks(cell.backend, cell.revision):
        return f"{cell.revision}/{cell.backend.maker}-both/direct"
    return f"{cell.revision}/{cell.backend.name}/direct"
