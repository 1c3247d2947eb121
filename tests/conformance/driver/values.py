"""What does a user who says yes to everything fill in?"""

PLAIN = {"string": "a value", "integer": 2, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}


def of_schema(schema: dict) -> dict:
    """A value for each property of an object schema, the default where there is one."""
    return {name: of_property(inner) for name, inner in schema.get("properties", {}).items()}


def of_property(schema: dict):
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return PLAIN.get(schema.get("type"), "a value")


def answer(method: str, params: dict) -> dict:
    """The result of a question a server asks its client."""
    if method == "elicitation/create":
        return {"action": "accept", "content": of_schema(params.get("requestedSchema", {}))}
    if method == "sampling/createMessage":
        content = {"type": "text", "text": "an answer"}
        return {"role": "assistant", "content": content, "model": "none", "stopReason": "endTurn"}
    if method == "roots/list":
        return {"roots": [{"uri": "file:///tmp", "name": "a root"}]}
    return {}
