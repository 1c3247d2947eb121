"""The client that the first tutorials have people write: it lists right after `initialize`. Runs on mcp 1.0.0.

    tutorial.py COMMAND [ARG...]

Launches a server over standard input and output, and prints what it found as JSON.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    launched = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ))
    async with stdio_client(launched) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            resources = [str(resource.uri) for resource in (await session.list_resources()).resources]
            answers = []
            for tool in tools:
                given = {"name": "second", "content": "from the client"}
                answers += [part.text for part in (await session.call_tool(tool, given)).content]
            print(json.dumps({"tools": tools, "resources": resources, "answers": answers}))


asyncio.run(main())
