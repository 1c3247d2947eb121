"""A small MCP server on standard input and output whose tools do what a test of metrics needs."""
import json
import sys
import threading
import time

TOOLS = ["fine", "slow", "refuse", "die"]
if len(sys.argv) > 1:
    TOOLS.append(open(sys.argv[1]).read().strip())


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(message):
    method, reply = message["method"], {"jsonrpc": "2.0", "id": message["id"]}
    name = message.get("params", {}).get("name")
    if method == "initialize":
        reply["result"] = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "measured", "version": "1"},
        }
    elif method == "tools/list":
        entry = lambda tool: {"name": tool, "description": f"{tool}, for tests", "inputSchema": {"type": "object"}}
        reply["result"] = {"tools": [entry(tool) for tool in TOOLS]}
    elif method == "ping":
        reply["result"] = {}
    elif method == "tools/call" and name == "die":
        sys.stdout.close()
        import os

        os._exit(3)
    elif method == "tools/call" and name == "refuse":
        reply["error"] = {"code": -32000, "message": "refused, as asked"}
    elif method == "tools/call":
        if name == "slow":
            time.sleep(message["params"].get("arguments", {}).get("seconds", 1))
        reply["result"] = {"content": [{"type": "text", "text": "done"}]}
    else:
        reply["error"] = {"code": -32601, "message": "no such method"}
    send(reply)


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        threading.Thread(target=answer, args=(message,), daemon=True).start()
