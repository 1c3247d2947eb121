"""The gateway between a suite's client and its server: one process a test, with one backend and no prefix."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

NOT_STARTED = "the gateway did not start"
START_SECONDS = 60
READY_SECONDS = 5
# The banner says where it listens: both ports are any that are free.
LINES = {name: re.compile(rf"^{name}\s+(http\S+)$") for name in ("endpoint", "status")}


class Gateway:
    """Where one that runs can be reached."""

    def __init__(self, endpoint):
        self.url = endpoint
        self.root = endpoint.removesuffix("/mcp")
        self.sse_url = f"{self.root}/sse"


@asynccontextmanager
async def gateway(backend, **settings):
    """Starts one before `backend`, and waits until it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.yaml"
        # JSON is YAML.
        file.write_text(
            json.dumps(
                {
                    "server": {"listen": "127.0.0.1:0", "drain": "0s"},
                    "admin": {"listen": "127.0.0.1:0"},
                    "state_dir": str(Path(folder) / "state"),
                    "backends": {"suite": {"prefix": "", **backend}},
                    **settings,
                }
            )
        )
        log_path = Path(os.environ.get("SDK_SUITES_LOG") or Path(folder) / "log")
        # Opened twice: the child moves the place of what it inherits.
        with open(log_path, "ab") as output, open(log_path) as log:
            log.seek(0, os.SEEK_END)
            command = [os.environ["SWITCHYARD"], "serve", "--config", str(file)]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                yield await ready(child, log)
            finally:
                child.kill()
                child.wait()


async def ready(child, log):
    """Waits for the banner, and a while for the backend. One that wants a token, say, never becomes ready: the test will
    tell."""
    found, seen = {}, ""
    with anyio.move_on_after(START_SECONDS):
        while child.poll() is None and len(found) < len(LINES):
            await anyio.sleep(0.02)
            seen += log.read()
            for line in seen.splitlines():
                found |= {name: match[1] for name, wanted in LINES.items() if (match := wanted.match(line))}
    if len(found) < len(LINES):
        raise RuntimeError(f"{NOT_STARTED}: {seen[-2000:]}")
    with anyio.move_on_after(READY_SECONDS):
        while not await anyio.to_thread.run_sync(is_ready, found["status"]):
            await anyio.sleep(0.02)
    return Gateway(found["endpoint"])


def is_ready(status):
    with urllib.request.urlopen(status, timeout=START_SECONDS) as page:
        return all(backend["state"] == "ready" for backend in json.load(page)["backends"])
