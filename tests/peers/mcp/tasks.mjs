// The extension's own client for JavaScript against a gateway: URL TOKEN WORDS_TOKEN. Prints what it saw, as JSON. Waits for a line of input
// once a page is to be opened, so that the customer can confirm there.

import { createInterface } from 'node:readline';

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';

const [url, token, customerToken] = process.argv.slice(2);
const TASKS = 'io.modelcontextprotocol/tasks';
const authorization = `Bearer ${token}`;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const clientInfo = { name: 'peer', version: '1.0.0' };
const clientCapabilities = { elicitation: { url: {} }, extensions: { [TASKS]: {} } };
const protocolVersion = '2026-07-28';

const client = new Client(clientInfo, { capabilities: clientCapabilities, versionNegotiation: { mode: 'auto' } });
await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers: { authorization } } }));

// The SDK knows no shapes of extensions, so that the extension's package sends these itself.
let sent = 0;
async function rawDispatch(request) {
  const { method, params } = request;
  const body = JSON.stringify({ jsonrpc: '2.0', id: sent += 1, ...request });
  const headers = {
    authorization, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
    'mcp-protocol-version': protocolVersion, 'mcp-method': method, 'mcp-name': params.taskId ?? params.name,
  };
  return (await fetch(`${url}/mcp`, { method: 'POST', headers, body })).json();
}

const saw = { opened: 0, states: [] };
const session = createTaskSessionFromClient(client, {
  endpointId: 'peer',
  rawDispatch,
  v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities },
  onInputRequest: async (request) => {
    saw.opened += 1;
    saw.asked = request.kind;
    console.log(JSON.stringify({ page: request.params.url }));
    await lines.next();
    return { action: 'accept' };
  },
});
async function called(name, args = {}) {
  const execution = await session.callTool(name, args);
  const { outcome } = await execution.settle({ onEvent: (event) => event.type === 'task' && saw.states.push(event.task.status) });
  return { kind: execution.kind, result: resultFromTaskOutcome(outcome) };
}
const listed = (await called('list_accounts')).result;
const account = listed.structuredContent.accounts.find((item) => item.currency === 'GBP' && item.status === 'open').account;
const { beneficiaries } = (await called('list_beneficiaries', { account })).result.structuredContent;
const payee = beneficiaries.find((item) => item.name.includes('Harbour')).beneficiary;
const conversation = listed._meta['tellergate/conversation'];
const said = await fetch(`${url}/v1/conversations/${conversation}/messages`, {
  method: 'POST',
  headers: { authorization: `Bearer ${customerToken}`, 'content-type': 'application/json' },
  body: JSON.stringify({ messages: [{ text: 'Please pay £20.00 to Harbour Lettings', origin: 'typed' }] }),
});
saw.said = said.status;
saw.states = [];
const paid = await called('initiate_transfer', { from: account, to: payee, amount: { value: '20.00', currency: 'GBP' } });
saw.paid = { kind: paid.kind, isError: paid.result.isError ?? false, status: paid.result._meta['tellergate/call'].status };
console.log(JSON.stringify({ saw }));
process.exit(0);
