"""The gateway under test: its configuration, its life, and what it says about itself."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request

import processes
from report import SLOWEST


class Gateway:
    def __init__(self, place, backends):
        self.binary, self.backends = place.binary, backends
        self.port, self.admin = processes.free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.sse_url = f"http://127.0.0.1:{self.port}/sse"
        self.log = place.logs / "gateway.log"
        self.file = place.write_config(
            "gateway",
            {
                "server": {"listen": f"127.0.0.1:{self.port}", "drain": "5s"},
                "admin": {"listen": f"127.0.0.1:{self.admin}"},
            },
            backends,
        )

    async def start(self):
        self.child = processes.start([self.binary, "serve", "--config", self.file], self.log)
        for port in (self.port, self.admin):
            await processes.listening(port, self.child)

    async def get(self, path):
        """Status and text of a page of the admin endpoint."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5 * SLOWEST) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def status(self):
        """What `/status` says about each backend, by name."""
        _, text = await self.get("/status")
        return {backend["name"]: backend for backend in json.loads(text)["backends"]}

    async def until(self, name, wanted, deadline):
        """Waits until what `/status` says about `name` is as wanted."""
        deadline *= SLOWEST
        seen = None
        try:
            async with asyncio.timeout(deadline):
                while not wanted(seen := (await self.status())[name]):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(f"{name} after {deadline} s: {seen}") from None
        return seen

    async def until_ready(self, name, deadline=30):
        return await self.until(name, lambda backend: backend["state"] == "ready", deadline)

    def process_of(self, *words):
        """The child process whose command line has all of `words`."""
        for pid in processes.descendants(self.child.pid):
            if all(word in processes.command_line(pid) for word in words):
                return pid
        raise LookupError(f"no process of {words}")

    async def stop(self, deadline):
        """Asks it to stop; the exit code."""
        os.kill(self.child.pid, signal.SIGTERM)
        return await asyncio.to_thread(self.child.wait, deadline * SLOWEST)
