// Goes through the steps of the matrix with the TypeScript SDK, 1.x or 2.x as the plan says.
// Takes a plan as a JSON argument; prints one line of JSON for each target.
"use strict";

const { deepStrictEqual: same } = require("node:assert");
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { setTimeout: sleep } = require("node:timers/promises");

const plan = JSON.parse(process.argv[2]);
const installed = createRequire(`${plan.modules}/`);
// Longer than anything takes that works, in milliseconds.
const PATIENCE = plan.patience * 1_000;

/** The classes of the wanted SDK, and what each of them spells differently. */
function sdk() {
  if (plan.sdk === 2) {
    const all = { ...installed("@modelcontextprotocol/client"), ...installed("@modelcontextprotocol/client/stdio") };
    return { ...all, callTool: (client, params, options) => client.callTool(params, options), on: (method) => method };
  }
  const part = (name) => installed(`@modelcontextprotocol/sdk/${name}.js`);
  const types = part("types");
  const schemas = {
    "elicitation/create": types.ElicitRequestSchema,
    "sampling/createMessage": types.CreateMessageRequestSchema,
    "notifications/resources/updated": types.ResourceUpdatedNotificationSchema,
  };
  return {
    ...part("client/index"),
    ...part("client/sse"),
    ...part("client/stdio"),
    ...part("client/streamableHttp"),
    callTool: (client, params, options) => client.callTool(params, undefined, options),
    on: (method) => schemas[method],
  };
}

const { Client, StdioClientTransport, SSEClientTransport, StreamableHTTPClientTransport, callTool, on } = sdk();

function transport(target) {
  if (target.transport === "stdio") {
    const { command, args, env } = target;
    return new StdioClientTransport({ command, args, env, stderr: "ignore" });
  }
  const Way = target.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Way(new URL(target.url));
}

/** Waits for `promise`, but not for ever. */
function within(promise, deadline, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadline} ms`)), deadline);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits until a server wrote `wanted` to `file`. */
async function written(file, wanted) {
  for (let tries = 0; tries < PATIENCE / 50; tries++) {
    try {
      if (readFileSync(file, "utf8") === wanted) return;
    } catch {
      // Not there yet.
    }
    await sleep(50);
  }
  throw new Error(`the server never was at '${wanted}'`);
}

/** The names of all tools, page by page. */
async function tools(client) {
  const names = [];
  let cursor;
  do {
    const page = await client.listTools(cursor ? { cursor } : undefined);
    names.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor);
  return names;
}

/** Each step returns if all is well. */
const steps = {
  async list({ client, target }) {
    let missing = target.tools;
    // A gateway that was launched just now does not keep anybody waiting for what it does not know yet.
    for (let tries = 0; tries < PATIENCE / 200 && missing.length; tries++) {
      if (tries) await sleep(200);
      const names = await tools(client);
      missing = target.tools.filter((tool) => !names.includes(target.prefix + tool));
    }
    same(missing, []);
    const { resources } = await client.listResources();
    same(resources.some(({ uri }) => uri === target.note), true);
  },

  async call({ text }) {
    same(await text("echo", { text: "Grüße 🚂" }), "Grüße 🚂");
  },

  async progress({ text }) {
    const seen = [];
    const onprogress = (event) => seen.push([event.progress, event.total]);
    same(await text("progress", {}, { onprogress }), "done");
    same(seen, [[1, 3], [2, 3], [3, 3]]);
  },

  async cancel({ text, target: { record } }) {
    const giveUp = new AbortController();
    const calling = text("slow", { record }, { signal: giveUp.signal }).then(
      (said) => Promise.reject(new Error(`the call ended at once: ${said}`)),
      (error) => {
        if (!giveUp.signal.aborted) throw error;
      },
    );
    await Promise.race([written(record, "started"), calling]);
    giveUp.abort("no longer wanted");
    await calling;
    await written(record, "cancelled");
  },

  async elicit({ text }) {
    same(await text("ask"), "Hello, Ada!");
  },

  async sample({ text }) {
    same(await text("sample"), "The model said hi");
  },

  async subscribe({ client, text, target: { note }, heard, revision }) {
    if (revision >= "2026") await client.listen({ resourceSubscriptions: [note] });
    else await client.subscribeResource({ uri: note });
    same(await text("touch"), "touched");
    same(await within(heard, 5000, "notifications/resources/updated"), note);
  },
};

async function visit(target) {
  const report = { target: target.name, revision: null, steps: {} };
  const capabilities = { elicitation: { form: {} }, sampling: {} };
  const negotiation = plan.sdk === 2 ? { versionNegotiation: { mode: target.mode } } : {};
  const client = new Client({ name: "matrix", version: "1.0.0" }, { capabilities, ...negotiation });
  client.setRequestHandler(on("elicitation/create"), async () => ({ action: "accept", content: { name: "Ada" } }));
  client.setRequestHandler(on("sampling/createMessage"), async () => ({
    role: "assistant",
    content: { type: "text", text: "hi" },
    model: "none",
  }));
  const heard = new Promise((resolve) => {
    client.setNotificationHandler(on("notifications/resources/updated"), ({ params }) => resolve(params.uri));
  });
  const way = transport(target);
  try {
    await within(client.connect(way), PATIENCE, "connecting");
    report.revision = client.getNegotiatedProtocolVersion?.() ?? way.protocolVersion ?? "2025-11-25";
    const text = async (tool, given = {}, options = {}) => {
      const called = { name: target.prefix + tool, arguments: given };
      return (await callTool(client, called, { timeout: PATIENCE, ...options })).content[0].text;
    };
    for (const step of plan.steps) {
      const at = { client, target, text, heard, revision: report.revision };
      report.steps[step] = await within(steps[step](at), PATIENCE, step).then(
        () => null,
        (error) => String(error?.message ?? error).slice(0, 300),
      );
    }
    await within(Promise.resolve(way.terminateSession?.()), PATIENCE, "ending the session");
  } catch (error) {
    report.error = String(error?.message ?? error).slice(0, 300);
  }
  await within(client.close(), PATIENCE, "closing").catch(() => {});
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function main() {
  const waiting = [...plan.targets];
  const one = async () => {
    while (waiting.length) await visit(waiting.shift());
  };
  await Promise.all(Array.from({ length: plan.at_once }, one));
  process.exit(0);
}

main();
