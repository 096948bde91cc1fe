// The official SDK for TypeScript, version 1: `PACKAGES`, the errand on standard input; its era is `legacy`, or `sse` for the oldest transport.
import { readFileSync } from "node:fs";

const packages = process.argv[2];
const from = `${packages}/node_modules/@modelcontextprotocol/sdk/dist/esm/client`;
const { Client } = await import(`${from}/index.js`);
const { StreamableHTTPClientTransport } = await import(`${from}/streamableHttp.js`);
const errand = JSON.parse(readFileSync(0, "utf8"));
const { SSEClientTransport } = await import(`${from}/sse.js`);
const requestInit = { headers: { Authorization: `Bearer ${errand.token}` } };
const transport = errand.era === "sse"
  ? new SSEClientTransport(new URL(errand.url.replace(/mcp$/, "sse")), { requestInit })
  : new StreamableHTTPClientTransport(new URL(errand.url), { requestInit });
const client = new Client({ name: "matrix", version: "1" }, { capabilities: {} });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((each) => each.name);
const answers = [], steps = [];
for (const [name, args] of errand.calls) {
  const answer = await client.callTool({ name, arguments: args }, undefined, { onprogress: (each) => steps.push(each.progress) });
  answers.push({ text: answer.content.map((part) => part.text ?? "").join("\n"), error: Boolean(answer.isError) });
}
console.log(JSON.stringify({ tools, answers, steps }));
await transport.terminateSession?.();
await client.close();
