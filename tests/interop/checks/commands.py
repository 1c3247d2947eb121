"""The gateway's own command line, with foreign servers behind it."""

import json

import processes
from report import expect


async def run(report, place, gateway):
    report.section("command line")
    file = gateway.file
    await report.check("switchyard list --json", lists(place, file), 20)
    call = ["call", "everything_http__get-sum", '{"a": 40, "b": 2}', "--config", file]
    await report.check("switchyard call", says(place, call, 0, "The sum of 40 and 2 is 42."), 20)
    call = ["call", "files__read_text_file", '{"path": "/nowhere"}', "--config", file]
    await report.check("switchyard call of a tool that fails exits with 1", says(place, call, 1, ""), 20)


async def says(place, arguments, wanted, text):
    code, out, err = await processes.output_of([place.binary, *arguments])
    expect(code == wanted, f"exit code {code}\n{out}\n{err}")
    expect(text in out, f"{out}\n{err}")


async def lists(place, file):
    code, out, err = await processes.output_of([place.binary, "list", "--json", "--config", file])
    expect(code == 0, f"exit code {code}\n{out}\n{err}")
    names = [tool["name"] for tool in json.loads(out)]
    expect("everything_http__echo" in names and "sqlite__read_query" in names, str(names))
