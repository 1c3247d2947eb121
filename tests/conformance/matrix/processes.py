"""How does a server get started, found ready, and stopped together with its children?"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request

READY_SECONDS = 120
STOP_SECONDS = 20
SETTLE_SECONDS = 3


def end_in_order() -> None:
    """Lets a SIGTERM leave the `with` blocks, so that nothing that was started stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port() -> int:
    """One that nobody is given before it is used: below those that the system draws from."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Process:
    """A command in a process group of its own; the group ends with the `with` block."""

    def __init__(self, command: list[str], log: str, environment: dict[str, str] | None = None):
        self.command = [str(word) for word in command]
        self.log = log
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        with open(self.log, "w") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True,
            )
        return self

    def __exit__(self, *_):
        for kind, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            try:
                os.killpg(self.child.pid, kind)
                self.child.wait(patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass

    def wait_for(self, what: str, ready) -> None:
        """Asks `ready` until it says yes; raises when the process ends or the time is up."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                break
            if ready():
                return
            time.sleep(0.05)
        with open(self.log) as log:
            raise RuntimeError(f"{what} is not ready: {log.read()[-2000:]}")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def backends(admin_port: int) -> dict[str, dict]:
    """What the gateway says about each backend; nothing while it does not listen."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/status", timeout=2) as answer:
            return {backend["name"]: backend for backend in json.load(answer)["backends"]}
    except OSError:
        return {}


def settled(admin_port: int, name: str) -> None:
    """Waits for the tools of a backend that is ready, which follow a moment after; some have none."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and not backends(admin_port).get(name, {}).get("tools"):
        time.sleep(0.05)


def backends_ready(admin_port: int, names: set[str]) -> bool:
    """Whether the gateway says that each of `names` can be called."""
    return names <= {name for name, backend in backends(admin_port).items() if backend["state"] == "ready"}
