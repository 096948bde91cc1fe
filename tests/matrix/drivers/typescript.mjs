// The official SDK for TypeScript, version 2: `PACKAGES`, the errand on standard input; its era is `legacy` or a revision.
import { readFileSync } from "node:fs";

const packages = process.argv[2];
const { Client, StreamableHTTPClientTransport } = await import(
  `${packages}/node_modules/@modelcontextprotocol/client/dist/index.mjs`);
const errand = JSON.parse(readFileSync(0, "utf8"));
const headers = { Authorization: `Bearer ${errand.token}` };
const transport = new StreamableHTTPClientTransport(new URL(errand.url), { requestInit: { headers } });
const mode = errand.era === "legacy" ? "legacy" : { pin: errand.era };
const client = new Client({ name: "matrix", version: "1" }, { capabilities: {}, versionNegotiation: { mode } });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((each) => each.name);
const answers = [], steps = [];
for (const [name, args] of errand.calls) {
  const answer = await client.callTool({ name, arguments: args }, { onprogress: (each) => steps.push(each.progress) });
  answers.push({ text: answer.content.map((part) => part.text ?? "").join("\n"), error: Boolean(answer.isError) });
}
console.log(JSON.stringify({ tools, answers, steps }));
await client.close();
