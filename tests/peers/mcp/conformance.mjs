// The protocol's own conformance suite for servers against a gateway: URL TOKEN PORT REVISION... It has no way to send a token, so that a
// forwarder of a few lines on PORT adds one. Where the suite asks for a tool of its own, the forwarder is a host that says what its customer
// typed and asks for a tool of the gateway: `HOST`, JSON, has `tools`, by the suite's name what to say and to ask for each time, and `words`,
// the conversation and the customer's token. Prints, as JSON, the checks of each scenario that each revision requires.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [url, token, own, ...revisions] = process.argv.slice(2);
const { hostname, port } = new URL(url);

const { tools = {}, words } = JSON.parse(process.env.HOST ?? '{}');

async function renamed(body) {
  const message = JSON.parse(body);
  const tool = message.method === 'tools/call' ? tools[message.params?.name]?.shift() : undefined;
  if (tool === undefined) return [body];
  const headers = { authorization: `Bearer ${words.token}`, 'content-type': 'application/json' };
  const said = JSON.stringify({ messages: [{ text: tool.words, origin: 'typed' }] });
  await fetch(`${url}/v1/conversations/${words.conversation}/messages`, { method: 'POST', headers, body: said });
  const { name, arguments: given } = tool;
  return [JSON.stringify({ ...message, params: { ...message.params, name, arguments: given } }), name];
}

const forwarder = createServer(async (asked, answer) => {
  const pieces = [];
  for await (const piece of asked) pieces.push(piece);
  const whole = Buffer.concat(pieces).toString();
  const [body, name] = whole.startsWith('{') ? await renamed(whole) : [whole];
  const headers = { ...asked.headers, authorization: `Bearer ${token}`, 'content-length': Buffer.byteLength(body) };
  if (name !== undefined && 'mcp-name' in headers) headers['mcp-name'] = name;
  const onward = request({ hostname, port, path: asked.url, method: asked.method, headers }, (told) => {
    answer.writeHead(told.statusCode, told.headers);
    told.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  onward.end(body);
});
await new Promise((done) => { forwarder.listen(Number(own), '127.0.0.1', done); });
const program = 'node_modules/@modelcontextprotocol/conformance/dist/index.js';

// A folder of each scenario: `server-NAME-TIME/checks.json`.
function checks(folder) {
  const found = {};
  for (const name of readdirSync(folder)) {
    const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '');
    const told = JSON.parse(readFileSync(join(folder, name, 'checks.json')));
    found[scenario] = told.map(({ id, status }) => [id, status]);
  }
  return found;
}

async function ran(revision) {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  const command = [program, 'server', '--url', `http://127.0.0.1:${own}/mcp`, '--requirements', revision, '--output-dir', folder];
  await new Promise((done) => { execFile(process.execPath, command, { maxBuffer: 2 ** 26 }, done); });
  const saw = checks(folder);
  rmSync(folder, { recursive: true });
  return [revision, saw];
}

const saw = Object.fromEntries(await Promise.all(revisions.map(ran)));
console.log(JSON.stringify({ saw }));
process.exit(0); // whatever connections are still kept
