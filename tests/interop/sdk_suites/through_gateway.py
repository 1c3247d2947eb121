"""A pytest plugin that puts the gateway between the clients and servers of the Python SDK's own tests.

Nothing of the SDK's tests is altered on disk. Their seams are the table of connection factories of the interaction suite
and the `hosted` fixture of the example stories; both are replaced as pytest loads them.

What is asked of a server in memory is asked over a pipe here, so that both kinds of transport are met.
"""

import json
import os
import traceback
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from behind import over_http, over_stdio
from between import gateway
from table import read_reasons, short

# To see that the suites themselves pass on this machine.
DIRECT = bool(os.environ.get("SDK_SUITES_DIRECT"))
# What the suites give a step that happens in memory; two more processes and sockets take longer on a busy machine.
SLOWER = float(os.environ.get("SDK_SUITES_SLOWER", "2"))
# A test that is not expected to pass need not wait as long for what does not come.
IN_VAIN = 0.4
REASONS = read_reasons(Path(__file__).with_name("expected.toml"))
# How long "all is quiet" takes when part of it happens in other processes.
QUIET_SECONDS = 0.5

_pace = SLOWER


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


def pytest_configure(config):
    config.addinivalue_line("markers", "requirement(id): what the suite says the test is about")
    if DIRECT:
        return
    fail_after = anyio.fail_after
    anyio.fail_after = lambda delay, shield=False: fail_after(delay and delay * _pace, shield=shield)
    anyio.wait_all_tasks_blocked = partial(anyio.sleep, QUIET_SECONDS)


def pytest_runtest_setup(item):
    global _pace
    is_expected = any(reason.covers(short(item.nodeid)) for reason in REASONS)
    _pace = IN_VAIN if is_expected else SLOWER


@pytest.hookimpl(tryfirst=True)
def pytest_plugin_registered(plugin):
    """Replaces the seams of a suite's conftest before pytest looks for fixtures in it."""
    name = getattr(plugin, "__name__", "")
    if name in ("tests.interaction.conftest", "tests.examples.conftest"):
        # Theirs is in the conftest above, which is left out. There it comes before the one of anyio's own plugin.
        plugin.anyio_backend = anyio_backend
    match not DIRECT and name:
        case "tests.interaction.conftest":
            plugin._FACTORIES |= {
                "streamable-http": partial(connected, hosted_http),
                "streamable-http-stateless": partial(connected, partial(hosted_http, stateless_http=True)),
                "in-memory": partial(connected, hosted_stdio),
                "sse": partial(connected, hosted_sse),
            }
        case "tests.examples.conftest":
            plugin.hosted = hosted


@asynccontextmanager
async def connected(hosted, server, *, spec_version=LATEST_HANDSHAKE_VERSION, **wanted):
    """What the suite's own factories yield: a client, connected; here to the gateway before the server."""
    mode = spec_version if spec_version in MODERN_PROTOCOL_VERSIONS else "legacy"
    async with hosted(server) as target, Client(target, mode=mode, **wanted) as client:
        yield client


@asynccontextmanager
async def hosted_http(server, **settings):
    # The suites' helpers turn the check of `Host` off: nothing is at the address they use.
    from tests.interaction._connect import NO_DNS_REBINDING_PROTECTION

    app = server.streamable_http_app(transport_security=NO_DNS_REBINDING_PROTECTION, **settings)
    async with server.session_manager.run(), over_http(app) as root, gateway({"url": f"{root}/mcp"}) as between:
        yield between.url


@asynccontextmanager
async def behind_stdio(server):
    async with over_stdio(server) as backend, gateway(backend) as between:
        yield between


@asynccontextmanager
async def hosted_stdio(server):
    async with behind_stdio(server) as between:
        yield between.url


@asynccontextmanager
async def hosted_sse(server):
    from tests.interaction._connect import build_sse_app

    app, _ = build_sse_app(server)
    async with over_http(app) as root, gateway({"url": f"{root}/sse", "type": "sse"}) as between:
        yield sse_client(between.sse_url)


@pytest.fixture
async def hosted(leg, cfg, server_module, client_module, monkeypatch):
    """The stories' fixture `hosted`: one server for the test, and a new target for each connection to it."""
    from stories._hosting import asgi_from
    from tests.examples.conftest import Hosted

    for key, value in cfg["env"].items():
        monkeypatch.setenv(key, value)
    async with AsyncExitStack() as stack:
        if leg.transport == "in-memory":
            between = await stack.enter_async_context(behind_stdio(server_module.build_server()))
            yield Hosted(lambda: between.url, None)
            return
        path = cfg["mcp_path"]
        if cfg["server_export"] == "app":
            app = server_module.build_app()
        else:
            app = asgi_from(server_module.build_server(), path=path)
        await stack.enter_async_context(app.router.lifespan_context(app))
        root = await stack.enter_async_context(over_http(app))
        between = await stack.enter_async_context(gateway({"url": f"{root}{path}"}))
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=between.root, timeout=30))
        if build_auth := getattr(client_module, "build_auth", None):
            http.auth = build_auth(http)
        yield Hosted(lambda: streamable_http_client(between.url, http_client=http), http)


# One line of JSON a test, for the table.
_outcomes = {}


def pytest_runtest_logreport(report):
    worst = _outcomes.setdefault(report.nodeid, {"test": report.nodeid, "outcome": "passed", "seconds": 0.0})
    worst["seconds"] = round(worst["seconds"] + report.duration, 2)
    if report.skipped and worst["outcome"] == "passed":
        worst["outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
    if report.failed:
        worst["outcome"] = "failed"
        worst.setdefault("message", report.longreprtext[-2000:])


def pytest_exception_interact(node, call):
    outcome = _outcomes.setdefault(node.nodeid, {"test": node.nodeid, "outcome": "failed", "seconds": 0.0})
    outcome["message"] = "; ".join(innermost(call.excinfo.value))[:2000]


def innermost(error):
    """What went wrong, and in which line of a test or story: task groups wrap it."""
    if isinstance(error, BaseExceptionGroup):
        return [line for inner in error.exceptions for line in innermost(inner)]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tests/" in frame.filename or "/stories/" in frame.filename]
    place = f"{own[-1].filename.rpartition('/')[2]}:{own[-1].lineno} `{own[-1].line}` " if own else ""
    return [f"{place}{type(error).__name__}: {error}"]


def pytest_sessionfinish():
    if path := os.environ.get("SDK_SUITES_RESULTS"):
        with open(path, "w") as file:
            file.writelines(json.dumps(outcome) + "\n" for outcome in _outcomes.values())
