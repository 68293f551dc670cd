// Vercel's AI SDK and OpenAI's own client for JavaScript over Chat Completions: URL TOKEN WORDS. Prints what they saw, as JSON. Tells the
// page of each payment that is held and waits for a line of input, so that the customer can confirm it.

import { createInterface } from 'node:readline';

import { createOpenAI } from '@ai-sdk/openai';
import { generateText, isStepCount, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const [url, token, words] = process.argv.slice(2);
const at = { apiKey: token, baseURL: `${url}/v1` };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const BANKING = ['list_accounts', 'list_cards', 'list_beneficiaries', 'initiate_transfer'];

async function confirmed(page) {
  console.log(JSON.stringify({ page }));
  await lines.next();
}

async function vercel() {
  const saw = { asked: [] };
  const showing = tool({
    description: "Opens a screen of the app.",
    inputSchema: z.object({ screen: z.string() }),
    execute: async ({ screen }) => {
      saw.asked.push(screen);
      return { shown: screen };
    },
  });
  const banking = BANKING.map((name) => [name, tool({ description: '', inputSchema: z.looseObject({}) })]);
  const tools = { ...Object.fromEntries(banking), show_screen: showing };
  const include = { responseBody: true };
  const common = { include, model: createOpenAI(at).chat('scripted'), tools, stopWhen: isStepCount(4), maxRetries: 0 };
  saw.parallel = (await generateText({ ...common, prompt: 'What do I have?' })).text;
  saw.app = (await generateText({ ...common, prompt: 'Show me my payments.' })).text;
  const stream = streamText({ ...common, prompt: 'Show me my payments.' });
  let pieces = 0;
  let heard = '';
  for await (const piece of stream.textStream) {
    pieces += 1;
    heard += piece;
  }
  saw.streamed = { heard, inPieces: pieces > 1 };
  const held = await generateText({ ...common, prompt: words });
  saw.held = held.text;
  await confirmed(held.response.body.tellergate.confirmations[0].url);
  return saw;
}

async function own() {
  const saw = { asked: [] };
  const client = new OpenAI({ ...at, maxRetries: 0 });
  const of = (name, parameters = { type: 'object', properties: {} }) => ({ type: 'function', function: { name, parameters } });
  const banking = BANKING.map((name) => of(name));
  const ask = (content, more = {}) =>
    client.chat.completions.create({ model: 'scripted', tools: banking, messages: [{ role: 'user', content }], ...more });
  const parallel = await ask('What do I have?');
  saw.parallel = [parallel.choices[0].message.content, parallel.tellergate.calls.map((call) => [call.function, call.status])];
  const runner = client.chat.completions.runTools({
    model: 'scripted',
    messages: [{ role: 'user', content: 'Show me my payments.' }],
    tools: [
      ...banking.map((one) => ({ ...one, function: { ...one.function, function: () => 'never', parse: JSON.parse } })),
      {
        type: 'function',
        function: {
          name: 'show_screen',
          parameters: { type: 'object', properties: { screen: { type: 'string' } } },
          parse: JSON.parse,
          function: ({ screen }) => {
            saw.asked.push(screen);
            return 'shown';
          },
        },
      },
    ],
  });
  saw.app = await runner.finalContent();
  const stream = client.chat.completions.stream({ model: 'scripted', messages: [{ role: 'user', content: 'Hello.' }] });
  let pieces = 0;
  stream.on('content', () => (pieces += 1));
  saw.streamed = { heard: await stream.finalContent(), inPieces: pieces > 1 };
  const held = await ask(words.replace('20', '21'));
  saw.held = held.choices[0].message.content;
  await confirmed(held.tellergate.confirmations[0].url);
  return saw;
}

const saw = { vercel: await vercel(), own: await own() };
console.log(JSON.stringify({ saw }));
process.exit(0);
