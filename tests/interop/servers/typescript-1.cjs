// The contract of the matrix on the TypeScript SDK 1.x.
//
//   typescript-1.cjs NAME (stdio | http PORT | sse PORT)
"use strict";

const { randomUUID } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const { setTimeout: sleep } = require("node:timers/promises");

const installed = createRequire(`${process.env.INTEROP_MODULES}/`);
const part = (name) => installed(`@modelcontextprotocol/sdk/${name}.js`);
const { McpServer } = part("server/mcp");
const { SubscribeRequestSchema, UnsubscribeRequestSchema } = part("types");
const { z } = installed("zod");

const [name, way, port] = process.argv.slice(2);
const note = `note://${name}/today`;
const subscribers = new Set();
const text = (value) => ({ content: [{ type: "text", text: value }] });

/** One server for one connection. */
function instance() {
  const server = new McpServer({ name, version: "1.0.0" }, { capabilities: { resources: { subscribe: true } } });

  server.registerTool("echo", { inputSchema: { text: z.string() } }, async (given) => text(given.text));

  server.registerTool("progress", {}, async (extra) => {
    const progressToken = extra._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [1, 2, 3]) {
      await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress, total: 3 } });
      // Some clients take no progress that comes together with the answer.
      await sleep(50);
    }
    return text("done");
  });

  // Says in a file that it began, and that it was given up.
  server.registerTool("slow", { inputSchema: { record: z.string() } }, async ({ record }, extra) => {
    writeFileSync(record, "started");
    extra.signal.addEventListener("abort", () => writeFileSync(record, "cancelled"));
    await sleep(30_000, undefined, { signal: extra.signal });
    return text("done");
  });

  server.registerTool("ask", {}, async (extra) => {
    const requestedSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    const related = { relatedRequestId: extra.requestId };
    const answer = await server.server.elicitInput({ message: "Who are you?", requestedSchema }, related);
    return text(`Hello, ${answer.content.name}!`);
  });

  server.registerTool("sample", {}, async (extra) => {
    const messages = [{ role: "user", content: { type: "text", text: "Say something." } }];
    const related = { relatedRequestId: extra.requestId };
    const result = await server.server.createMessage({ messages, maxTokens: 20 }, related);
    return text(`The model said ${result.content.text}`);
  });

  server.registerTool("touch", {}, async () => {
    for (const subscriber of subscribers) await subscriber.sendResourceUpdated({ uri: note });
    return text("touched");
  });

  server.registerResource("today", note, {}, async () => ({ contents: [{ uri: note, text: "a note" }] }));
  server.server.setRequestHandler(SubscribeRequestSchema, async () => (subscribers.add(server.server), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, async () => (subscribers.delete(server.server), {}));
  server.server.onclose = () => subscribers.delete(server.server);
  return server;
}

/** Streamable HTTP with sessions. */
function streamable() {
  const { StreamableHTTPServerTransport } = part("server/streamableHttp");
  const sessions = new Map();
  return async (request, response) => {
    const known = sessions.get(request.headers["mcp-session-id"]);
    if (known) return known.handleRequest(request, response);
    if (request.headers["mcp-session-id"]) return response.writeHead(404).end();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    });
    await instance().connect(transport);
    return transport.handleRequest(request, response);
  };
}

/** HTTP+SSE: a stream, and an address to post to. */
function pairs() {
  const { SSEServerTransport } = part("server/sse");
  const sessions = new Map();
  return async (request, response) => {
    const url = new URL(request.url, "http://127.0.0.1");
    if (request.method === "POST") {
      const known = sessions.get(url.searchParams.get("sessionId"));
      return known ? known.handlePostMessage(request, response) : response.writeHead(404).end();
    }
    const transport = new SSEServerTransport("/messages", response);
    sessions.set(transport.sessionId, transport);
    response.on("close", () => sessions.delete(transport.sessionId));
    return instance().connect(transport);
  };
}

if (way === "stdio") {
  const { StdioServerTransport } = part("server/stdio");
  instance().connect(new StdioServerTransport());
} else {
  createServer(way === "sse" ? pairs() : streamable()).listen(Number(port), "127.0.0.1");
}
