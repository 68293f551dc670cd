// The protocol's own conformance suite for servers against a gateway: URL TOKEN PORT REVISION... It has no way to send a token, so that a
// forwarder of a few lines on PORT adds one. Prints, as JSON, the checks of each scenario that each revision requires.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [url, token, own, ...revisions] = process.argv.slice(2);
const { hostname, port } = new URL(url);

const forwarder = createServer((asked, answer) => {
  const headers = { ...asked.headers, authorization: `Bearer ${token}` };
  const onward = request({ hostname, port, path: asked.url, method: asked.method, headers }, (told) => {
    answer.writeHead(told.statusCode, told.headers);
    told.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  asked.pipe(onward);
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
forwarder.closeAllConnections();
forwarder.close();
