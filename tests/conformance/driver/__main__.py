"""What the suite starts as "the client": a gateway in front of the mock server, used as a model's host would use it.

The suite gives the URL as the last argument and says in the environment which scenario and which revision it is.
"""

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clients import Legacy, Modern, RpcError  # noqa: E402
from matrix.processes import Process, backends, backends_ready, end_in_order, free_port, settled  # noqa: E402
from person import COMMAND, Person, settings as auth_settings  # noqa: E402
from values import of_schema  # noqa: E402

AT_ONCE = 4


def main() -> int:
    end_in_order()
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    revision = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25")
    with tempfile.TemporaryDirectory() as folder:
        port, admin = free_port(), free_port()
        settings = {
            "server": {"listen": f"127.0.0.1:{port}"},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "state_dir": f"{folder}/state",
            # The suite runs all scenarios at once.
            "backends": {"mock": {"url": sys.argv[-1], "prefix": "", "timeouts": {"connect": "20s"}}},
        }
        if scenario.startswith("auth/"):
            settings["backends"]["mock"]["auth"] = auth_settings(scenario, context)
        file = Path(folder, "gateway.yaml")
        file.write_text(json.dumps(settings))
        log = Path(os.environ["SWITCHYARD_LOGS"], f"client_{revision}_{scenario.replace('/', '_')}.gateway")
        command = [os.environ["SWITCHYARD"], "serve", "--config", file]
        era = Modern if revision >= "2026" else Legacy
        client = era(f"http://127.0.0.1:{port}/mcp", revision)
        with Process(command, str(log)) as gateway:
            if scenario.startswith("auth/"):
                gateway.wait_for("the gateway", lambda: backends(admin))
                return use_connected(client, Person(command, admin), context)
            gateway.wait_for("the gateway", lambda: backends_ready(admin, {"mock"}))
            settled(admin, "mock")
            use(client, context)
    return 0


def use_connected(client, person: Person, context: dict) -> int:
    """Uses the backend once it lets the gateway in, and again while it wants more scopes."""
    while person.reach():
        if COMMAND not in json.dumps(use(client, context)):
            return 0
        if not person.connect():
            break
    # Many scenarios are about backends that must not be connected to.
    return 1


def use(client, context: dict) -> list[dict]:
    """Lists everything, calls every tool, gets every prompt and reads every resource."""
    client.open()
    tools = attempt(client, "tools/list", {}).get("tools", [])
    schemas = {tool["name"]: tool["inputSchema"] for tool in tools}
    calls = context.get("toolCalls") or [
        {"name": name, "arguments": of_schema(schema)} for name, schema in schemas.items()
    ]
    # One mock wants to see a schema as it arrived.
    shown = next((schema for schema in schemas.values() if "$schema" in schema), None)
    for call in calls:
        if shown and "schema" in call["arguments"]:
            call["arguments"]["schema"] = shown
    requests = [("tools/call", call, schemas.get(call["name"])) for call in calls]
    for prompt in attempt(client, "prompts/list", {}).get("prompts", []):
        arguments = {argument["name"]: "a value" for argument in prompt.get("arguments", [])}
        requests.append(("prompts/get", {"name": prompt["name"], "arguments": arguments}, None))
    for resource in attempt(client, "resources/list", {}).get("resources", []):
        requests.append(("resources/read", {"uri": resource["uri"]}, None))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [work.result() for work in [pool.submit(attempt, client, *request) for request in requests]]


def attempt(client, method: str, params: dict, schema: dict | None = None) -> dict:
    """A refusal is for the suite to judge; it must not keep the driver from the rest."""
    try:
        return client.request(method, params, schema)
    except RpcError as error:
        print(f"{method} {params.get('name', '')}: {error}", file=sys.stderr)
        return {}


if __name__ == "__main__":
    sys.exit(main())
