"""Green or red, cell by cell, and which red ones are the gateway's doing."""

from dataclasses import dataclass

STEPS = ["list", "call", "progress", "cancel", "elicit", "sample", "subscribe"]
SHOWN = {"http": "Streamable HTTP", "stdio": "stdio", "sse": "HTTP+SSE"}
GREEN, RED = "🟩", "🟥"


@dataclass(frozen=True, order=True)
class Cell:
    """One client and one server, and how each of the two hops is made; `front` is None without the gateway."""

    client: str
    backend: str
    front: str | None
    back: str


class Results:
    def __init__(self):
        self.cells = {}

    def add(self, cell, report):
        """A report that is not there is one of a client that did not come to its end. What was green before stays so."""
        failed = report.get("error")
        before = self.cells.get(cell, {"revision": None, "steps": {}})
        steps = {step: report["steps"].get(step, failed or "not reached") for step in STEPS}
        steps |= {step: None for step, reason in before["steps"].items() if reason is None}
        revision = report["revision"] or before["revision"]
        self.cells[cell] = {
            "revision": revision,
            "meets": revision is not None,
            "steps": steps,
        }

    def direct(self, cell):
        """What the same pair does without a gateway, over either transport of the cell, where it can."""
        ways = [Cell(cell.client, cell.backend, None, way) for way in (cell.back, cell.front)]
        return [self.cells[way] for way in ways if way in self.cells]

    def faults(self):
        """Red through the gateway, and not red directly."""
        for cell, seen in sorted(self.cells.items(), key=str):
            if cell.front is None:
                continue
            for step, reason in seen["steps"].items():
                well = any(other["meets"] and other["steps"][step] is None for other in self.direct(cell))
                if reason is not None and well:
                    yield cell, step, reason

    def reds(self):
        """All that is red, of pairs that can meet at all."""
        for cell, seen in sorted(self.cells.items(), key=str):
            if cell.front is None and not seen["meets"]:
                continue
            for step, reason in seen["steps"].items():
                if reason is not None:
                    yield cell, step, reason


def marks(seen):
    if seen is None:
        return ""
    if not seen["meets"]:
        return "–"
    return "".join(RED if reason else GREEN for reason in seen["steps"].values())


def markdown(results, clients, backends):
    """The whole page."""
    lines = [
        "# Interoperability of SDKs",
        "",
        "Clients of five SDKs with servers of the same five, directly and through the gateway. Written by",
        "`tests/interop/run --only matrix`, which fails if anything is red through the gateway that the same two can do",
        "directly.",
        "",
        f"The squares of a cell: {', '.join(STEPS)}. “–”: the two know no",
        "common revision, or have no common transport, so that they cannot meet without the gateway.",
        "",
    ]
    for front, back in (("http", "http"), ("http", "stdio"), ("stdio", "stdio"), ("sse", "sse")):
        lines += table(results, clients, backends, front, back)
    lines += red_cells(results)
    return "\n".join(lines) + "\n"


def table(results, clients, backends, front, back):
    columns = [backend for backend in dict.fromkeys(b.sdk for b in backends if b.way == back)]
    rows = [client.sdk for client in clients if front in client.ways]
    title = f"Client over {SHOWN[front]}, server over {SHOWN[back]}"
    lines = [f"## {title}", "", "| client | | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for client in rows:
        for label, way in (("direct", None), ("through", front)):
            cells = [results.cells.get(Cell(client, backend, way, back)) for backend in columns]
            shown = " | ".join(marks(seen) or "–" for seen in cells)
            lines.append(f"| {client if way is None else ''} | {label} | {shown} |")
    return [*lines, ""]


def red_cells(results):
    reds = list(results.reds())
    if not reds:
        return ["Nothing is red."]
    lines = ["## What is red", "", "| client | server | | step | what happened |", "|---|---|---|---|---|"]
    for cell, step, reason in reds:
        way = f"direct, {SHOWN[cell.back]}" if cell.front is None else f"{SHOWN[cell.front]} → {SHOWN[cell.back]}"
        text = " ".join(reason.split()).replace("|", "\\|")[:160]
        lines.append(f"| {cell.client} | {cell.backend} | {way} | {step} | {text} |")
    return lines
