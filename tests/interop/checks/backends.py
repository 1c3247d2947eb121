"""Foreign servers behind the gateway: what they list, what they answer, how they fail."""

from asking import answer_to, client_of, failed, pages, text_of, tools_of
from report import expect


async def run(report, gateway, servers):
    for server in servers:
        report.section(f"backend: {server.origin}")
        if not await report.check("is ready", gateway.until_ready(server.name), 35):
            continue
        direct = await report.check("answers without the gateway", look(server.target(), "", server), 30)
        through = await report.check("answers through it", look(gateway.url, f"{server.name}__", server), 30)
        if direct and through:
            await compare(report, server, direct, through)
    report.section("backends that never come up")
    for name in gateway.backends:
        if name.startswith("dead"):
            await report.check(f"{name} is down, and /status says why", down(gateway, name), 15)
    await report.check("/readyz and /livez are 200 all the same", is_up(gateway))


async def look(target, prefix, server):
    """Everything one client sees of the server."""
    async with client_of(target) as client:
        tools = await tools_of(client)
        good = [await answer_to(client, prefix + call.tool, call.arguments) for call in server.good]
        bad = await answer_to(client, prefix + server.bad.tool, server.bad.arguments)
    mine = {name.removeprefix(prefix): tool for name, tool in tools.items() if name.startswith(prefix)}
    return {"tools": mine, "good": good, "bad": bad}


async def compare(report, server, direct, through):
    tools = direct["tools"]
    await report.check(f"lists all {len(tools)} tools, unchanged", same_tools(tools, through["tools"]))
    for call, own, relayed in zip(server.good, direct["good"], through["good"]):
        await report.check(f"{call.tool} gives what it gives directly", same_answer(call, own, relayed))
    title = f"{server.bad.tool} fails as it fails directly"
    await report.check(title, same_failure(server.bad, direct["bad"], through["bad"]))


async def same_tools(own, relayed):
    expect(own, "the server lists nothing")
    missing, foreign = own.keys() - relayed.keys(), relayed.keys() - own.keys()
    expect(not missing and not foreign, f"missing: {sorted(missing)}, not its own: {sorted(foreign)}")
    for name, tool in own.items():
        # Whether it runs as a task is between the gateway and the server: see docs/bridging.md.
        tool = {member: value for member, value in tool.items() if member != "execution"}
        expect(relayed[name] == tool, f"{name} is\n{relayed[name]}\ninstead of\n{tool}")


async def same_answer(call, own, relayed):
    expect(not failed(own), f"fails directly: {own}")
    expect(call.answer in text_of(own), f"not what was expected of the server itself: {own}")
    expect(relayed == own, f"{relayed}\ninstead of\n{own}")


async def same_failure(call, own, relayed):
    expect(failed(own) and call.answer in text_of(own), f"not what was expected of the server itself: {own}")
    expect(relayed == own, f"{relayed}\ninstead of\n{own}")


async def down(gateway, name):
    seen = await gateway.until(name, lambda backend: backend["state"] == "down", 10)
    expect(seen["last_error"], f"no reason: {seen}")


async def is_up(gateway):
    for path in ("/livez", "/readyz"):
        status, text = await gateway.get(path)
        expect(status == 200, f"{path}: {status} {text}")


async def prompts_and_resources(report, gateway, server):
    """All of a server's prompts, resources and templates, compared with a direct look."""
    report.section(f"prompts and resources: {server.origin}")
    direct = await report.check("seen without the gateway", offered(server.target(), ""), 20)
    through = await report.check("seen through it", offered(gateway.url, f"{server.name}__"), 20)
    for kind in direct and through or ():
        await report.check(f"{len(direct[kind])} {kind}, all there", contained(direct[kind], through[kind]))


async def offered(target, prefix):
    async with client_of(target) as client:
        prompts = await pages(client.list_prompts, "prompts")
        resources = await pages(client.list_resources, "resources")
        templates = await pages(client.list_resource_templates, "resource_templates")
        return {
            "prompts": {prompt.name.removeprefix(prefix) for prompt in prompts},
            "resources": {str(resource.uri) for resource in resources},
            "resource templates": {template.uri_template for template in templates},
        }


async def contained(own, seen):
    expect(own, "the server offers none")
    expect(own <= seen, f"missing: {sorted(own - seen)}")
