// The protocol's SDKs for JavaScript sign their user in, from nothing but the gateway's URL: URL REDIRECT. Prints the page that a browser is
// to open, and reads where that came back to; then what each saw, as JSON: `sdk` (2025-11-25) and `client` (2026-07-28).

import { createInterface } from 'node:readline';

import { Client as NewerClient, StreamableHTTPClientTransport as NewerTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, redirectUrl] = process.argv.slice(2);
const where = new URL(`${url}/mcp`);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function signIn() {
  const kept = {};
  return {
    redirectUrl,
    clientMetadata: { redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none', scope: 'function_calls' },
    clientInformation: () => ({ client_id: 'plain' }),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => { kept.tokens = tokens; },
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
    async redirectToAuthorization(page) {
      console.log(JSON.stringify({ page: page.href }));
      kept.came = new URL((await lines.next()).value).searchParams;
    },
    came: () => kept.came,
  };
}

async function connected(make, Transport) {
  const authProvider = signIn();
  const transport = new Transport(where, { authProvider });
  try {
    await make().connect(transport);
  } catch {
    const came = authProvider.came();
    await transport.finishAuth(came.get('code'), came.get('iss') ?? undefined);
  }
  const client = make();
  await client.connect(new Transport(where, { authProvider }));
  const listed = await client.callTool({ name: 'list_accounts', arguments: {} });
  await client.close();
  return { accounts: listed.structuredContent.accounts.length, token: authProvider.tokens().access_token };
}

const about = { name: 'peer', version: '1.0.0' };
const saw = {
  sdk: await connected(() => new Client(about, { capabilities: {} }), StreamableHTTPClientTransport),
  client: await connected(() => new NewerClient(about, { capabilities: {}, versionNegotiation: { mode: 'auto' } }), NewerTransport),
};
console.log(JSON.stringify({ saw }));
process.exit(0);
