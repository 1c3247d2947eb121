"""The server and the client that the first tutorials have people write, on mcp 1.0.0, at a gateway that never met them."""

import json

import processes
from report import expect
from servers import HERE

SERVER, CLIENT = HERE / "servers/tutorial.py", HERE / "clients/tutorial.py"
KEY = "Bearer tutorial-key"
TOOL, RESOURCE = "add-note", "note://internal/first"


async def run(report, place):
    python = place.cache / "first/bin/python"
    plain, hardened = processes.free_ports(2)
    forms = {
        "stdio": {"command": str(python), "args": [str(SERVER)]},
        "sse": {"url": f"http://127.0.0.1:{plain}/sse", "type": "sse"},
        "untyped": {"url": f"http://127.0.0.1:{plain}/sse"},
        "hardened": {"url": f"http://127.0.0.1:{hardened}/sse", "headers": {"Authorization": KEY}},
    }
    report.section("the tutorials' server and client, mcp 1.0.0, at the first start of the gateway")
    for form, port in (("sse", plain), ("hardened", hardened)):
        child = processes.start([python, SERVER, form, port], place.logs / f"tutorial-{form}.log")
        await report.check(f"the server starts: {form}", processes.listening(port, child), 20)
    direct = [python, SERVER]
    await report.check("without the gateway", client(python, direct, prefix=""), 20)
    for form, entry in forms.items():
        # A busy machine takes longer to start Python than the default waits.
        patient = {"catalog": {"first_list_wait": "30s"}}
        config = place.write_config(f"tutorial-{form}", patient, {"notes": entry})
        through = [place.binary, "serve", "--stdio", "--config", config]
        await report.check(f"through it: {form}", client(python, through, prefix="notes__"), 20)


async def client(python, command, prefix):
    code, out, err = await processes.output_of([python, CLIENT, *command])
    expect(code == 0, f"exit code {code}\n{out[-500:]}\n{err[-1500:]}")
    seen = json.loads(out)
    expect(seen["tools"] == [prefix + TOOL] and RESOURCE in seen["resources"], f"it sees {seen}\n{err[-1500:]}")
    expect(seen["answers"] == ["added note second: from the client"], str(seen))
