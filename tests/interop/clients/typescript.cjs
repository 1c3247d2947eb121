// Drives the gateway with the TypeScript SDK, 1.x or 2.x as the plan says.
// Takes a plan as a JSON argument, prints what happened as JSON on standard output.
"use strict";

const { createRequire } = require("node:module");
const { setTimeout: sleep } = require("node:timers/promises");

const plan = JSON.parse(process.argv[2]);
const installed = createRequire(`${plan.modules}/`);

/** The classes of the wanted SDK, and how it is told to call a tool. */
function sdk() {
  if (plan.sdk === 2) {
    const all = { ...installed("@modelcontextprotocol/client"), ...installed("@modelcontextprotocol/client/stdio") };
    return { ...all, callTool: (client, params, options) => client.callTool(params, options) };
  }
  const part = (name) => installed(`@modelcontextprotocol/sdk/client/${name}.js`);
  const all = { ...part("index"), ...part("sse"), ...part("stdio"), ...part("streamableHttp") };
  return { ...all, callTool: (client, params, options) => client.callTool(params, undefined, options) };
}

const { Client, StdioClientTransport, SSEClientTransport, StreamableHTTPClientTransport, callTool } = sdk();

function transport() {
  switch (plan.transport) {
    case "stdio":
      return new StdioClientTransport({ command: plan.command, args: plan.args, env: plan.env, stderr: "ignore" });
    case "sse":
      return new SSEClientTransport(new URL(plan.url));
    default:
      return new StreamableHTTPClientTransport(new URL(plan.url));
  }
}

const textOf = (blocks) => blocks.map((block) => block.text ?? "").join("");

async function call(client, step, signal) {
  const progress = [];
  const onprogress = step.progress ? (event) => progress.push([event.progress, event.total]) : undefined;
  const result = await callTool(client, { name: step.tool, arguments: step.arguments }, { onprogress, signal });
  return { text: textOf(result.content), isError: Boolean(result.isError), progress };
}

/** Gives up a call, and says how long giving up took. */
async function cancel(client, step) {
  const giveUp = new AbortController();
  const calling = call(client, step, giveUp.signal).then(() => false, () => true);
  await sleep(step.after * 1000);
  const started = performance.now();
  giveUp.abort("no longer wanted");
  return { cancelled: await calling, seconds: (performance.now() - started) / 1000 };
}

/** All tools, as soon as those that are waited for are among them. */
async function tools(client, step) {
  for (;;) {
    const names = [];
    let cursor;
    do {
      const page = await client.listTools(cursor ? { cursor } : undefined);
      names.push(...page.tools.map((tool) => tool.name));
      cursor = page.nextCursor;
    } while (cursor);
    if (step.until.every((name) => names.includes(name))) return { names };
    await sleep(200);
  }
}

async function perform(client, step) {
  switch (step.do) {
    case "tools":
      return tools(client, step);
    case "call":
      return call(client, step);
    case "cancel":
      return cancel(client, step);
    case "prompts":
      return { names: (await client.listPrompts()).prompts.map((prompt) => prompt.name) };
    case "prompt": {
      const result = await client.getPrompt({ name: step.name, arguments: step.arguments });
      return { text: textOf(result.messages.map((message) => message.content)) };
    }
    case "resources":
      return { names: (await client.listResources()).resources.map((resource) => resource.uri) };
    case "read":
      return { text: textOf((await client.readResource({ uri: step.uri })).contents) };
    default:
      throw new Error(`no such step: ${step.do}`);
  }
}

async function main() {
  const options = plan.sdk === 2 ? { versionNegotiation: { mode: plan.mode } } : {};
  const client = new Client({ name: "interop", version: "1.0.0" }, options);
  const way = transport();
  await client.connect(way);
  const report = { revision: client.getNegotiatedProtocolVersion?.() ?? way.protocolVersion ?? null };
  for (const step of plan.steps) {
    try {
      report[step.as] = await perform(client, step);
    } catch (error) {
      report[step.as] = { code: error.code, message: error.message };
    }
  }
  await way.terminateSession?.();
  await client.close();
  process.stdout.write(JSON.stringify(report));
}

main();
