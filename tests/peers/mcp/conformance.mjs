// The protocol's own conformance suite for servers against a gateway: URL TOKEN PORT SCENARIO... It has no way to send a token, so that a
// forwarder of a few lines on PORT adds one. Prints, as JSON, which scenarios there are, and the checks of each that ran.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [url, token, own, ...scenarios] = process.argv.slice(2);
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
const where = `http://127.0.0.1:${own}/mcp`;
const program = 'node_modules/@modelcontextprotocol/conformance/dist/index.js';

function checks(folder) {
  const found = {};
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith('checks.json')) continue;
    for (const check of JSON.parse(readFileSync(join(folder, name)))) found[check.id] = check.status;
  }
  return found;
}

function listed() {
  const lines = execFileSync(process.execPath, [program, 'list', '--server']).toString().split('\n');
  return lines.filter((line) => line.startsWith('  - ')).map((line) => line.slice(4).split(' ')[0]);
}

async function ran(scenario) {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  const command = [program, 'server', '--url', where, '--scenario', scenario, '--output-dir', folder];
  const code = await new Promise((done) => {
    execFile(process.execPath, command, { timeout: 30_000 }, (error) => done(error ? error.code ?? 1 : 0));
  });
  const saw = checks(folder);
  rmSync(folder, { recursive: true });
  return [scenario, { code, checks: saw }];
}

const saw = Object.fromEntries(await Promise.all(scenarios.map(ran)));
console.log(JSON.stringify({ saw: { known: listed(), ran: saw } }));
forwarder.closeAllConnections();
forwarder.close();
