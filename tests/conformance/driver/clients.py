"""How does a client of either era speak to the gateway over Streamable HTTP?"""

import base64
import http.client
import itertools
import json
from urllib.parse import urlsplit

from values import answer

SECONDS = 25
ROUNDS = 10
CAPABILITIES = {"elicitation": {}, "sampling": {}, "roots": {}}
ME = {"name": "conformance-driver", "version": "1"}
META = "io.modelcontextprotocol/"


class RpcError(Exception):
    pass


class Client:
    def __init__(self, url: str, revision: str):
        self.address = urlsplit(url)
        self.revision = revision
        self.ids = itertools.count(1)

    def messages(self, message: dict, headers: dict):
        """Posts a message; yields what comes back, and last the response's headers."""
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=SECONDS)
        fixed = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        try:
            connection.request("POST", self.address.path, json.dumps(message).encode(), {**fixed, **headers})
            response = connection.getresponse()
            self.session = response.headers.get("mcp-session-id") or getattr(self, "session", None)
            if "event-stream" in response.headers.get("content-type", ""):
                yield from events(response)
            elif body := response.read():
                yield json.loads(body)
        finally:
            connection.close()

    def result(self, message: dict, headers: dict) -> dict:
        """The result with the message's id; questions that arrive before it are answered."""
        for incoming in self.messages(message, headers):
            if "method" in incoming and "id" in incoming:
                result = answer(incoming["method"], incoming.get("params", {}))
                self.send({"jsonrpc": "2.0", "id": incoming["id"], "result": result})
            elif incoming.get("id") == message["id"]:
                if "error" in incoming:
                    raise RpcError(incoming["error"])
                return incoming["result"]
        raise RpcError("the stream ended without an answer")


class Legacy(Client):
    def open(self) -> None:
        hello = {"protocolVersion": self.revision, "capabilities": CAPABILITIES, "clientInfo": ME}
        self.session = None
        self.request("initialize", hello)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def headers(self) -> dict:
        return {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.revision} if self.session else {}

    def send(self, message: dict) -> None:
        for _ in self.messages(message, self.headers()):
            pass

    def request(self, method: str, params: dict, _schema=None) -> dict:
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        return self.result(message, self.headers())


class Modern(Client):
    def open(self) -> None:
        self.request("server/discover", {})

    def request(self, method: str, params: dict, schema=None) -> dict:
        meta = {f"{META}protocolVersion": self.revision, f"{META}clientInfo": ME,
                f"{META}clientCapabilities": CAPABILITIES}
        headers = {"MCP-Protocol-Version": self.revision, "Mcp-Method": method}
        if named := params.get("name") or params.get("uri"):
            headers["Mcp-Name"] = encoded(named)
        headers.update(mirrored(schema or {}, params.get("arguments", {})))
        extra = {}
        for _ in range(ROUNDS):
            message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method,
                       "params": {**params, **extra, "_meta": meta}}
            result = self.result(message, headers)
            if result.get("resultType") != "input_required":
                return result
            questions = result.get("inputRequests", {})
            extra = {"inputResponses": {key: answer(question["method"], question.get("params", {}))
                                        for key, question in questions.items()}}
            if "requestState" in result:
                extra["requestState"] = result["requestState"]
        raise RpcError("the server asks without end")


def events(response):
    data = []
    for line in response:
        line = line.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            if text := "\n".join(data).strip():
                yield json.loads(text)
            data = []


def mirrored(schema: dict, arguments: dict) -> dict:
    """The `Mcp-Param-*` headers of a call."""
    headers = {}
    for name, inner in schema.get("properties", {}).items():
        value = arguments.get(name)
        if isinstance(inner, dict) and "x-mcp-header" in inner and value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            headers[f"Mcp-Param-{inner['x-mcp-header']}"] = encoded(text)
    return headers


def encoded(text: str) -> str:
    plain = text == text.strip() and all(" " <= letter <= "~" for letter in text)
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="
