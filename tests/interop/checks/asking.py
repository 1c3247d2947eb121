"""Asking a server through the Python SDK, and writing answers down so that two of them can be compared."""

from contextlib import asynccontextmanager

from mcp import Client, MCPError


@asynccontextmanager
async def client_of(target, mode="legacy"):
    """The handshake of 2025 unless told otherwise: most servers know no other, so answers can be compared."""
    async with Client(target, mode=mode, cache=None, read_timeout_seconds=60) as client:
        yield client


async def pages(ask, items):
    """All entries of a list, page by page."""
    found, cursor = [], None
    while True:
        page = await ask(cursor=cursor)
        found += getattr(page, items)
        cursor = page.next_cursor
        if not cursor:
            return found


def written(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def tools_of(client):
    """Every tool's definition by name, without the name itself."""
    definitions = [written(tool) for tool in await pages(client.list_tools, "tools")]
    return {definition.pop("name"): definition for definition in definitions}


async def answer_to(client, tool, arguments):
    """The answer as data: a result, or the error that came instead."""
    try:
        result = written(await client.call_tool(tool, arguments))
    except MCPError as error:
        return {"code": error.error.code, "message": error.error.message}
    # Which server answered is said by whoever the client is connected to.
    result.pop("_meta", None)
    return result


def text_of(answer):
    if "message" in answer:
        return answer["message"]
    blocks = answer.get("content", [])
    return "\n".join(block.get("text") or block.get("resource", {}).get("text") or "" for block in blocks)


def failed(answer):
    return "code" in answer or answer.get("isError") is True
