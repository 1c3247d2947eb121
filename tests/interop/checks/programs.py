"""Programs that people use: MCP Inspector, Claude Code."""

import json
import tempfile

import processes
from report import expect


async def run(report, place, gateway, stdio_config):
    report.section("client: MCP Inspector, command line")
    inspector = Inspector(place)
    for way, url in (("http", gateway.url), ("sse", gateway.sse_url)):
        await report.check(f"tools/list over {way}", inspector.lists([url, "--transport", way]), 20)
        await report.check(f"tools/call over {way}", inspector.calls([url, "--transport", way]), 20)
    served = [place.binary, "serve", "--stdio", "--config", stdio_config]
    # `--config` is an option of the Inspector as well.
    launched = ["-e", f"SWITCHYARD_CONFIG={stdio_config}", place.binary, "serve", "--stdio"]
    await report.check("tools/call over stdio", inspector.calls(launched), 20)

    report.section("client: Claude Code")
    with tempfile.TemporaryDirectory(dir=place.work) as home:
        claude = Claude(place, home)
        for way, url in (("http", gateway.url), ("sse", gateway.sse_url)):
            added = claude.run("mcp", "add", "--transport", way, f"switchyard-{way}", url)
            await report.check(f"claude mcp add --transport {way}", added, 30)
        added = claude.run("mcp", "add", "switchyard-stdio", "--", *served)
        await report.check("claude mcp add, stdio", added, 30)
        listed = await report.check("claude mcp list", claude.run("mcp", "list"), 60)
        for name in ("switchyard-http", "switchyard-sse", "switchyard-stdio"):
            if listed:
                await report.check(f"{name} is connected", connected(listed, name))


class Inspector:
    def __init__(self, place):
        modules = place.cache / "node/node_modules/@modelcontextprotocol"
        self.command = [place.node, modules / "inspector/clients/launcher/build/index.js", "--cli"]

    async def ask(self, target, method, *more):
        code, out, err = await processes.output_of([*self.command, *target, "--method", method, *more])
        expect(code == 0, f"exit code {code}\n{out[-500:]}\n{err[-1500:]}")
        return json.loads(out)

    async def lists(self, target):
        names = [tool["name"] for tool in (await self.ask(target, "tools/list"))["tools"]]
        expect("everything_http__echo" in names and "files__read_text_file" in names, str(names))

    async def calls(self, target):
        call = ["--tool-name", "everything_http__get-sum", "--tool-arg", "a=40", "b=2"]
        result = await self.ask(target, "tools/call", *call)
        expect(result["content"][0]["text"] == "The sum of 40 and 2 is 42.", str(result))


class Claude:
    """Claude Code with an empty home and no account: it can still check the health of servers."""

    def __init__(self, place, home):
        self.command = [place.node, place.cache / "node/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"]
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        self.home, self.environment = home, processes.environment(HOME=home, **quiet)

    async def run(self, *arguments):
        command = [*self.command, *arguments]
        code, out, err = await processes.output_of(command, cwd=self.home, env=self.environment)
        expect(code == 0, f"exit code {code}\n{out}\n{err}")
        return out


async def connected(listed, name):
    [line] = [line for line in listed.splitlines() if line.startswith(f"{name}:")]
    expect("Connected" in line, line)
