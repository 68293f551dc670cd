// The protocol's SDKs for JavaScript against a gateway: URL TOKEN WORDS_URL WORDS_TOKEN. Prints what they saw, as JSON: `sdk` (handshake,
// 2025-11-25) and `client` (2026-07-28). Waits for a line of input once a payment is held, so that the customer can confirm it.

import { createInterface } from 'node:readline';

import { Client as NewerClient, StreamableHTTPClientTransport as NewerTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, token, customerToken] = process.argv.slice(2);
const CONVERSATION = 'tellergate/conversation';
const requestInit = { headers: { authorization: `Bearer ${token}` } };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function confirmed(page) {
  console.log(JSON.stringify({ page }));
  await lines.next();
}

async function says(conversation, text) {
  const headers = { authorization: `Bearer ${customerToken}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ messages: [{ text, origin: 'typed' }] });
  return (await fetch(`${url}/v1/conversations/${conversation}/messages`, { method: 'POST', headers, body })).status;
}

async function drive(client, value) {
  const saw = {};
  const { tools } = await client.listTools();
  saw.tools = tools.map((tool) => tool.name);
  const paying = tools.find((tool) => tool.name === 'initiate_transfer');
  saw.paying = { hints: paying.annotations, hash: paying._meta['tellergate/schema-hash'] };
  const call = (name, args) => client.callTool({ name, arguments: args });
  const listed = await call('list_accounts', {});
  const account = listed.structuredContent.accounts.find((item) => item.currency === 'GBP' && item.status === 'open').account;
  saw.read = listed._meta['tellergate/call'].status;
  saw.refused = (await call('initiate_transfer', { from: account, to: 'somebody', amount: { value, currency: 'GBP' } })).isError;
  const { beneficiaries } = (await call('list_beneficiaries', { account })).structuredContent;
  const payee = beneficiaries.find((item) => item.name.includes('Harbour')).beneficiary;
  saw.said = await says(listed._meta[CONVERSATION], `Please pay £${value} to Harbour Lettings`);
  const paid = await call('initiate_transfer', { from: account, to: payee, amount: { value, currency: 'GBP' } });
  saw.paid = { isError: paid.isError ?? false, status: paid._meta['tellergate/call'].status };
  if (saw.paid.status === 'held') await confirmed(paid._meta['tellergate/call'].confirm_at);
  await client.close();
  return saw;
}

const about = { name: 'peer', version: '1.0.0' };
const where = new URL(`${url}/mcp`);
const older = new Client(about, { capabilities: {} });
await older.connect(new StreamableHTTPClientTransport(where, { requestInit }));
const saw = { sdk: await drive(older, '20.00') };
const capabilities = { elicitation: { url: {} } };
const newer = new NewerClient(about, { capabilities, versionNegotiation: { mode: 'auto' } });
newer.setRequestHandler('elicitation/create', async (request) => {
  await confirmed(request.params.url);
  return { action: 'accept' };
});
await newer.connect(new NewerTransport(where, { requestInit }));
saw.revision = newer.getNegotiatedProtocolVersion?.() ?? null;
saw.client = await drive(newer, '21.00');
console.log(JSON.stringify({ saw }));
process.exit(0);
