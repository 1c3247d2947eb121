// The contract of the matrix on the TypeScript SDK 2.x, which speaks both eras.
//
//   typescript-2.cjs NAME (stdio | http PORT)
"use strict";

const { randomUUID } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const { setTimeout: sleep } = require("node:timers/promises");

const installed = createRequire(`${process.env.INTEROP_MODULES}/`);
const sdk = installed("@modelcontextprotocol/server");
const { McpServer, createMcpHandler, inputRequired, inputResponse, isLegacyRequest } = sdk;
const { serveStdio } = installed("@modelcontextprotocol/server/stdio");
const { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } = installed("@modelcontextprotocol/node");
const { z } = installed("zod");

const [name, way, port] = process.argv.slice(2);
const note = `note://${name}/today`;
const text = (value) => ({ content: [{ type: "text", text: value }] });
const nothing = z.object({});
// Everybody to be told of a change, each as its era and transport want it.
const subscribers = new Set();
let modern;

/** One server for one connection, or for one request of the era without connections. */
function instance({ era } = {}) {
  const server = new McpServer({ name, version: "1.0.0" }, { capabilities: { resources: { subscribe: true } } });
  const tool = (named, inputSchema, answer) => server.registerTool(named, { inputSchema }, answer);

  tool("echo", z.object({ text: z.string() }), async (given) => text(given.text));

  tool("progress", nothing, async (_, context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [1, 2, 3]) {
      await context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 3 } });
      // Some clients take no progress that comes together with the answer.
      await sleep(50);
    }
    return text("done");
  });

  // Says in a file that it began, and that it was given up.
  tool("slow", z.object({ record: z.string() }), async ({ record }, { mcpReq: { signal } }) => {
    writeFileSync(record, "started");
    signal.addEventListener("abort", () => writeFileSync(record, "cancelled"));
    await sleep(30_000, undefined, { signal });
    return text("done");
  });

  tool("ask", nothing, async (_, { mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "who");
    if (answer.kind === "elicit") return text(`Hello, ${answer.content.name}!`);
    const requestedSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    return inputRequired({ inputRequests: { who: inputRequired.elicit({ message: "Who are you?", requestedSchema }) } });
  });

  tool("sample", nothing, async (_, { mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "something");
    if (answer.kind === "sampling") return text(`The model said ${answer.result.content.text}`);
    const messages = [{ role: "user", content: { type: "text", text: "Say something." } }];
    return inputRequired({ inputRequests: { something: inputRequired.createMessage({ messages, maxTokens: 20 }) } });
  });

  tool("touch", nothing, async () => {
    modern?.notify.resourceUpdated(note);
    // Over a pipe the SDK sends it to whoever listens.
    if (era === "modern" && way === "stdio") await server.server.sendResourceUpdated({ uri: note });
    for (const subscriber of subscribers) await subscriber.sendResourceUpdated({ uri: note });
    return text("touched");
  });

  server.registerResource("today", note, {}, async () => ({ contents: [{ uri: note, text: "a note" }] }));
  server.server.setRequestHandler("resources/subscribe", async () => (subscribers.add(server.server), {}));
  server.server.setRequestHandler("resources/unsubscribe", async () => (subscribers.delete(server.server), {}));
  server.server.onclose = () => subscribers.delete(server.server);
  return server;
}

/** Sessions for the era that has them. */
function sessionful() {
  const sessions = new Map();
  return async (request, response, body) => {
    const known = sessions.get(request.headers["mcp-session-id"]);
    if (known) return known.handleRequest(request, response, body);
    if (request.headers["mcp-session-id"]) return response.writeHead(404).end();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await instance({ era: "legacy" }).connect(transport);
    return transport.handleRequest(request, response, body);
  };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return parts.length ? JSON.parse(Buffer.concat(parts)) : undefined;
}

function both() {
  modern = createMcpHandler(instance, { legacy: "reject" });
  const [legacy, handler] = [sessionful(), toNodeHandler(modern)];
  return async (request, response) => {
    if (request.method !== "POST") return legacy(request, response);
    const body = await bodyOf(request);
    const old = await isLegacyRequest(await toWebRequest(request, body), body);
    return (old ? legacy : handler)(request, response, body);
  };
}

if (way === "stdio") serveStdio(instance);
else createServer(both()).listen(Number(port), "127.0.0.1");
