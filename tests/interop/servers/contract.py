"""What the servers on both Python SDKs do alike."""

from pathlib import Path

import anyio
from pydantic import BaseModel


class Name(BaseModel):
    name: str


async def echo(text: str) -> str:
    return text


async def report(ctx) -> str:
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3)
        # Some clients take no progress that comes together with the answer.
        await anyio.sleep(0.05)
    return "done"


async def slow(record: str) -> str:
    """Says in a file that it began, and that it was given up."""
    Path(record).write_text("started")
    try:
        await anyio.sleep(30)
    except anyio.get_cancelled_exc_class():
        Path(record).write_text("cancelled")
        raise
    return "done"


async def tell(subscribers, uri) -> str:
    for session in list(subscribers):
        try:
            await session.send_resource_updated(uri)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            # A client that left without a word.
            subscribers.discard(session)
    return "touched"
