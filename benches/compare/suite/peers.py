"""Other gateways, from their registries, by version. Each is optional."""

import json
import shutil
import subprocess
import sys

from contenders import Contender
from processes import WORK, Process, free_port

FASTMCP = "4.1.2"
CRATE = "0.6.0"
NPM = {"mcp-proxy": "6.7.19", "supergateway": "4.0.0"}

FASTMCP_PROXY = """
import sys
from fastmcp.server import create_proxy
create_proxy(sys.argv[1], name="proxy").run(
    transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="error"
)
"""


def say(*words):
    print("compare:", *words, file=sys.stderr)


def installed(name, stamp, *commands):
    """The folder of one peer, filled by `commands` unless that was done before; `None` if it cannot be."""
    folder, done = WORK / "peers" / name, WORK / "peers" / name / ".stamp"
    if done.exists() and done.read_text() == stamp:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say("installing", name, stamp)
    for command in commands:
        log = open(folder / "install.log", "a")
        words = [str(word).replace("{}", str(folder)) for word in command]
        try:
            code = subprocess.run(words, cwd=folder, stdout=log, stderr=log, timeout=1800).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            code = error
        if code != 0:
            say(f"{name} is left out: it could not be installed ({folder / 'install.log'})")
            return None
    done.write_text(stamp)
    return folder


def fastmcp():
    return installed(
        "fastmcp",
        FASTMCP,
        ["python3", "-m", "venv", "{}/venv"],
        ["{}/venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", f"fastmcp=={FASTMCP}"],
    )


def crate():
    return installed(
        "crate-mcp-proxy", CRATE,
        ["cargo", "install", "--quiet", "--locked", "--root", "{}", f"mcp-proxy@{CRATE}"],
    )


def npm(name):
    return installed(
        f"npm-{name}", NPM[name],
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", "{}", f"{name}@{NPM[name]}"],
    )


def start_all(stack, backend_url):
    """Those that stand in front of a server that speaks HTTP."""
    say("the crate mcp-gateway is left out: its licence permits noncommercial use only")
    starts = (start_crate, start_fastmcp)
    return [peer for peer in (guarded(start, stack, backend_url) for start in starts) if peer]


def start_bridges(stack, echo):
    """Those that put a server on a pipe behind HTTP."""
    starts = (start_npm_proxy, start_supergateway)
    return [peer for peer in (guarded(start, stack, echo) for start in starts) if peer]


def guarded(start, stack, where):
    try:
        return start(stack, where)
    except (RuntimeError, OSError) as error:
        say(f"{start.__name__.removeprefix('start_')} is left out: {error}")
        return None


def serve(stack, name, command, port, path="/mcp", **more):
    process = stack.enter_context(Process(name.replace(" ", "-"), command))
    process.wait_for_port(port, 60)
    return Contender(name, f"http://127.0.0.1:{port}{path}", process, eras=("legacy",), kind="peer", **more)


def start_crate(stack, backend_url):
    folder = crate()
    if folder is None:
        return None
    port = free_port()
    (folder / "proxy.toml").write_text(
        f'[proxy]\nname = "p"\nseparator = "_"\n[proxy.listen]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[[backends]]\nname = "e"\ntransport = "http"\nurl = {json.dumps(backend_url)}\n'
    )
    command = [folder / "bin" / "mcp-proxy", "--config", folder / "proxy.toml"]
    return serve(stack, f"mcp-proxy (crate) {CRATE}", command, port, "/", prefix="e_")


def start_fastmcp(stack, backend_url):
    folder = fastmcp()
    if folder is None:
        return None
    port = free_port()
    (folder / "proxy.py").write_text(FASTMCP_PROXY)
    command = [folder / "venv/bin/python", folder / "proxy.py", backend_url, port]
    return serve(stack, f"FastMCP {FASTMCP}", command, port)


def start_npm_proxy(stack, echo):
    folder = npm("mcp-proxy")
    if folder is None:
        return None
    port = free_port()
    command = [folder / "node_modules/.bin/mcp-proxy", "--host", "127.0.0.1", "--port", port, "--server", "stream", "--", echo, "--stdio", "--legacy"]
    return serve(stack, f"mcp-proxy (npm) {NPM['mcp-proxy']}", command, port)


def start_supergateway(stack, echo):
    folder = npm("supergateway")
    if folder is None:
        return None
    port = free_port()
    command = [
        folder / "node_modules/.bin/supergateway", "--stdio", f"{echo} --stdio --legacy", "--port", port,
        "--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none",
    ]
    return serve(stack, f"supergateway {NPM['supergateway']}", command, port)
