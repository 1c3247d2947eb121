"""What is measured: the server alone, and behind whom it stands."""

import json
import shutil
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field

from processes import RELEASE, WORK, Process, free_port

ECHO = RELEASE / "examples" / "compare_echo"
GATEWAY = RELEASE / "switchyard"


@dataclass
class Contender:
    name: str
    url: str
    process: Process
    prefix: str = ""
    eras: tuple = ("modern", "legacy")
    # Processes of its own below it, such as workers; a backend it launches is not its own cost.
    with_children: bool = False
    kind: str = "proxy"
    notes: list = field(default_factory=list)

    def cpu(self):
        return self.process.cpu_seconds(only_itself=not self.with_children)


@contextmanager
def echo(tools=0, *more):
    port = free_port()
    with Process("echo", [ECHO, "--listen", f"127.0.0.1:{port}", "--tools", tools, *more]) as process:
        process.wait_for_port(port)
        yield Contender("direct", f"http://127.0.0.1:{port}/mcp", process)


NGINX = """
worker_processes auto; daemon off; pid nginx.pid; error_log error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; types {{ application/json json; }}
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  client_max_body_size 64m; client_body_buffer_size 2m; keepalive_requests 1000000000;
  upstream echo {{ server 127.0.0.1:{backend}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection ""; {buffering}
    }}
    location /static/ {{ root {root}; }}
  }}
}}
"""


@contextmanager
def nginx(backend_url, buffering=True):
    port, backend = free_port(), backend_url.split(":")[2].split("/")[0]
    folder = WORK / "nginx"
    (folder / "static").mkdir(parents=True, exist_ok=True)
    switch = "" if buffering else "proxy_buffering off;"
    text = NGINX.format(port=port, backend=backend, buffering=switch, root=folder)
    (folder / "nginx.conf").write_text(text)
    with Process("nginx", ["nginx", "-p", folder, "-c", folder / "nginx.conf"]) as process:
        process.wait_for_port(port)
        yield Contender("nginx", f"http://127.0.0.1:{port}/mcp", process, with_children=True)


def configuration(backends):
    """For a file: JSON is YAML too. The bounds are those that the load would run into."""
    return {
        "log": {"level": "warn"},
        "server": {"limits": {"sessions": 1_000_000, "connections": 16384}},
        "catalog": {"page_size": 100_000},
        "defaults": {"concurrency": {"in_flight": 1024}},
        "backends": backends,
    }


@contextmanager
def switchyard(backends, name="switchyard", prefix="echo__", binary=GATEWAY):
    port, admin = free_port(), free_port()
    config = configuration(backends)
    config["server"]["listen"] = f"127.0.0.1:{port}"
    config["admin"] = {"listen": f"127.0.0.1:{admin}"}
    # No catalog from an earlier run.
    config["state_dir"] = str(WORK / "state" / name)
    shutil.rmtree(WORK / "state" / name, ignore_errors=True)
    file = WORK / f"{name}.yaml"
    WORK.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config))
    command = [binary, "--config", file, "serve"]
    with Process(name, command) as process:
        process.wait_for_port(port)
        wait_until_ready(admin, len(backends))
        yield Contender(name, f"http://127.0.0.1:{port}/mcp", process, prefix)


def wait_until_ready(admin, backends, patience=60):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/status", timeout=5) as response:
                status = json.load(response)
            ready = [backend for backend in status["backends"] if backend["state"] == "ready"]
            if len(ready) == backends:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError("not every backend became ready")


def http_backend(contender):
    return {"echo": {"url": contender.url}}


def stdio_backend():
    return {"echo": {"command": str(ECHO), "args": ["--stdio"]}}
