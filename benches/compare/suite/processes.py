"""Starts processes, waits until they answer, and reads what they cost."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# As cargo has it: a relative target directory is relative to the workspace.
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
RELEASE = TARGET / "release"
WORK = TARGET / "compare"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fresh(name):
    """An empty folder for one process's files."""
    folder = WORK / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


class Process:
    """A command and everything it starts; ended with the `with` block."""

    def __init__(self, name, command):
        self.name, self.folder = name, fresh(name)
        self.log = open(self.folder / "log", "w")
        self.child = subprocess.Popen(
            [str(word) for word in command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            if self.child.poll() is None:
                try:
                    os.killpg(self.child.pid, number)
                    self.child.wait(patience)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass
        self.log.close()

    def wait_for_port(self, port, patience=30):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen; its log is {self.folder / 'log'}")

    def tree(self):
        """The process and all below it."""
        pids, found = [self.child.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            try:
                children = Path(f"/proc/{pid}/task").glob("*/children")
                pids.extend(int(child) for file in children for child in file.read_text().split())
            except OSError:
                pass
        return found

    def cpu_seconds(self, only_itself=False):
        return sum(cpu_of(pid) for pid in ([self.child.pid] if only_itself else self.tree()))

    def memory(self, field="VmRSS", only_itself=True):
        """Kilobytes; `VmHWM` for the most it ever had."""
        return sum(memory_of(pid, field) for pid in ([self.child.pid] if only_itself else self.tree()))


def cpu_of(pid):
    """Seconds on a CPU, to the nanosecond where the kernel tells; a thread that ended takes its share along."""
    try:
        files = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        if files:
            return sum(int(file.read_text().split()[0]) for file in files) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    except (OSError, IndexError):
        return 0.0


def memory_of(pid, field):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))
    except (OSError, StopIteration):
        return 0
