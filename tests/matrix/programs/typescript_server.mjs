// A server with the official SDK for TypeScript, version 2, over HTTP: `PACKAGES PORT`. It speaks both eras.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, port] = process.argv.slice(2);
const from = createRequire(`${packages}/package.json`);
const load = (name) => import(pathToFileURL(from.resolve(name)).href);
const { McpServer, createMcpHandler } = await load("@modelcontextprotocol/server");
const { toNodeHandler } = await load("@modelcontextprotocol/node");
const { z } = await load("zod");

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "typescript", version: "1.0.0" });
  const add = { description: "Add two numbers.", inputSchema: z.object({ a: z.number(), b: z.number() }) };
  server.registerTool("add", add, async ({ a, b }) => ({ content: [{ type: "text", text: String(a + b) }] }));
  return server;
});
createServer(toNodeHandler(handler)).listen(Number(port), "127.0.0.1");
