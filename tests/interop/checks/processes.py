"""Child processes in groups of their own, all of which end with the run."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

# In the environment of everything started, so that what got away from its parent is found as well.
MARKER = "SWITCHYARD_INTEROP_RUN"
RUN = uuid.uuid4().hex

# For what servers write to standard error while they are asked directly.
NOWHERE = open(os.devnull, "w")

_started = []


def environment(**more):
    """What children need, and nothing of the caller's accounts or settings."""
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    settings = {"HOME": tempfile.gettempdir(), "PYTHONDONTWRITEBYTECODE": "1", MARKER: RUN}
    return inherited | settings | more


def free_ports(count):
    """Distinct ports: all are held until the last is found. Nobody is given one of them before it is used: they are below
    those that the system draws from."""
    listeners = []
    while len(listeners) < count:
        try:
            listeners.append(socket.create_server(("127.0.0.1", random.randrange(15_000, 30_000))))
        except OSError:
            pass
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def start(command, log, **options):
    """Starts a server that runs until it is stopped or the run ends."""
    with open(log, "ab") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **{"env": environment()} | options,
        )
    _started.append(child)
    return child


async def listening(port, child):
    """Waits until `port` accepts connections; fails when `child`, who is to listen there, has ended."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if child.poll() is not None:
                raise RuntimeError(f"ended with exit code {child.returncode}") from None
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


async def output_of(command, **options):
    """Exit code, standard output and standard error of a command that ends by itself."""
    child = await asyncio.create_subprocess_exec(
        *[str(part) for part in command],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        **{"env": environment()} | options,
    )
    try:
        out, err = await child.communicate()
    finally:
        kill_group(child.pid)
    return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def kill_group(leader):
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def stop(child):
    kill_group(child.pid)
    child.wait()


def stop_everything():
    for child in _started:
        stop(child)
    for pid in ours():
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)


def _read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def ours():
    """Every living process of this run."""
    wanted = f"{MARKER}={RUN}".encode()
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if wanted in _read(pid, "environ").split(b"\0")]


def strays():
    """Processes of this run that are neither a server started here nor below one."""
    known = {child.pid for child in _started}
    return [pid for pid in ours() if is_alive(pid) and os.getpgid(pid) not in known]


def command_line(pid):
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def descendants(ancestor):
    """Every process below `ancestor`."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _read(entry, "stat")):
            parents[int(entry)] = int(stat.rsplit(b")", 1)[1].split()[1])
    found, level = [], {ancestor}
    while level := {pid for pid, parent in parents.items() if parent in level}:
        found += level
    return found


def is_alive(pid):
    stat = _read(pid, "stat")
    return bool(stat) and stat.rsplit(b")", 1)[1].split()[0] != b"Z"
