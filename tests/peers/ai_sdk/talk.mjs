// Vercel's AI SDK with three providers and its client of the Model Context Protocol, and OpenAI's own client for JavaScript, put through the cases of `talking.py`: PLACE, as JSON. Prints
// one line of JSON for each case. Tells of a payment that is held, and waits for a line of input, so that the customer can confirm it.

import { createInterface } from 'node:readline';

import { createMCPClient } from '@ai-sdk/mcp';
import { createOpenResponses } from '@ai-sdk/open-responses';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, isStepCount, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const place = JSON.parse(process.argv[2]);
const baseURL = `${place.url}/v1`;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const BANKING = ['list_accounts', 'get_account_balance', 'list_cards', 'list_beneficiaries', 'initiate_transfer'];
const SCREEN = { type: 'object', properties: { screen: { type: 'string' } }, required: ['screen'] };
const [BALANCE, PARALLEL, APP] = ['What is my balance?', 'What do I have?', 'Show me my payments.'];
const told = (line) => console.log(JSON.stringify(line));

class Talk {
  shown = [];
  page = null;

  async begin() {}

  async close() {}

  show({ screen }) {
    this.shown.push(screen);
    return { shown: screen };
  }

  holds(body) {
    this.page = body?.tellergate?.confirmations[0]?.url ?? this.page;
  }
}

class Vercel extends Talk {
  history = [];

  constructor(model) {
    super();
    const banking = BANKING.map((name) => [name, tool({ description: '', inputSchema: z.looseObject({}) })]);
    const showing = tool({ description: 'Opens a screen of the app.', inputSchema: z.object({ screen: z.string() }), execute: (given) => this.show(given) });
    const tools = { ...Object.fromEntries(banking), show_screen: showing };
    this.options = { model, tools, stopWhen: isStepCount(4), maxRetries: 0, include: { responseBody: true } };
  }

  async ask(words) {
    this.history.push({ role: 'user', content: words });
    const answer = await generateText({ ...this.options, messages: this.history });
    this.history.push(...answer.response.messages);
    this.holds(answer.response.body);
    return answer.text;
  }

  async stream(words) {
    const pieces = [];
    let failed;
    const onError = ({ error }) => (failed = error);
    for await (const piece of streamText({ ...this.options, prompt: words, onError }).textStream) pieces.push(piece);
    if (failed) throw failed;
    return pieces;
  }
}

// The bank's functions by the Model Context Protocol; the model is the app's own, which streams alone.
class VercelMcp extends Vercel {
  async begin() {
    const transport = { type: 'http', url: `${place.url}/mcp`, headers: { authorization: `Bearer ${place.agent}` } };
    this.client = await createMCPClient({ transport });
    const { show_screen } = this.options.tools;
    this.options.tools = { ...(await this.client.tools()), show_screen };
    const known = await this.options.tools.list_accounts.execute({}, { messages: [], toolCallId: 'first' });
    this.conversation = known._meta['tellergate/conversation'];
  }

  async said(words) {
    const headers = { authorization: `Bearer ${place.words}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ messages: [{ text: words, origin: 'typed' }] });
    const answer = await fetch(`${baseURL}/conversations/${this.conversation}/messages`, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  }

  async ask(words) {
    await this.said(words);
    this.history.push({ role: 'user', content: words });
    const answer = streamText({ ...this.options, messages: this.history });
    const text = await answer.text;
    this.history.push(...(await answer.response).messages);
    for (const step of await answer.steps) for (const { output } of step.toolResults) this.page = output?._meta?.['tellergate/call']?.confirm_at ?? this.page;
    return text;
  }

  async stream(words) {
    await this.said(words);
    return super.stream(words);
  }

  async close() {
    await this.client?.close();
  }
}

class NodeChat extends Talk {
  history = [];
  client = new OpenAI({ apiKey: place.words, baseURL, maxRetries: 0 });

  runner(words, more = {}) {
    this.history.push({ role: 'user', content: words });
    const never = (name) => ({ name, parameters: { type: 'object' }, parse: JSON.parse, function: () => { throw new Error(name); } });
    const shown = { name: 'show_screen', parameters: SCREEN, parse: JSON.parse, function: (given) => JSON.stringify(this.show(given)) };
    const tools = [...BANKING.map(never), shown].map((one) => ({ type: 'function', function: one }));
    return this.client.chat.completions.runTools({ model: 'scripted', messages: this.history, tools, ...more });
  }

  async ask(words) {
    const runner = this.runner(words);
    runner.on('chatCompletion', (completion) => this.holds(completion));
    const text = await runner.finalContent();
    this.history = [...runner.messages];
    return text;
  }

  async stream(words) {
    const pieces = [];
    const runner = this.runner(words, { stream: true });
    runner.on('content', (piece) => pieces.push(piece));
    await runner.done();
    return pieces;
  }
}

class NodeResponses extends NodeChat {
  tools = [...BANKING.map((name) => ({ name, parameters: { type: 'object' } })), { name: 'show_screen', parameters: SCREEN }].map((one) => ({
    type: 'function',
    strict: false,
    ...one,
  }));

  async answered(input, create) {
    while (input) {
      const body = { model: 'scripted', tools: this.tools, input, ...(this.previous ? { previous_response_id: this.previous } : {}) };
      const answer = await create(body);
      this.previous = answer.id;
      this.holds(answer);
      const calls = answer.output.filter((item) => item.type === 'function_call');
      input = calls.length
        ? calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: JSON.stringify(this.show(JSON.parse(call.arguments))) }))
        : null;
      if (!input) return answer.output_text;
    }
  }

  ask(words) {
    return this.answered(words, (body) => this.client.responses.create(body));
  }

  async stream(words) {
    const pieces = [];
    await this.answered(words, (body) => {
      const stream = this.client.responses.stream(body);
      stream.on('response.output_text.delta', (event) => pieces.push(event.delta));
      return stream.finalResponse();
    });
    return pieces;
  }
}

const CASES = {
  balance: async (talk) => ({ text: await talk.ask(BALANCE) }),
  parallel: async (talk) => ({ text: await talk.ask(PARALLEL) }),
  app: async (talk) => ({ text: await talk.ask(APP) }),
  streaming: async (talk) => {
    const pieces = (await talk.stream(APP)).filter(Boolean);
    return { text: pieces.join(''), pieces: pieces.length };
  },
  held: async (talk, value) => {
    const text = await talk.ask(`Please pay £${value} to ${place.payee}`);
    told({ held: text, page: talk.page });
    await lines.next();
    return { text, page: talk.page, value, after: await talk.ask(BALANCE) };
  },
};

const openai = createOpenAI({ apiKey: place.words, baseURL });
const open = createOpenResponses({ name: 'bank', url: `${baseURL}/responses`, apiKey: place.words });
const TALKS = [
  ['Vercel `ai`, `@ai-sdk/openai`', 'Chat Completions', () => new Vercel(openai.chat('scripted'))],
  ['Vercel `ai`, `@ai-sdk/openai`', 'Responses', () => new Vercel(openai.responses('scripted'))],
  ['Vercel `ai`, `@ai-sdk/open-responses`', 'Responses', () => new Vercel(open('scripted'))],
  ['Vercel `ai`, `@ai-sdk/mcp`', 'MCP', () => new VercelMcp(createOpenAI({ apiKey: 'none', baseURL: place.model }).chat('scripted'))],
  ['`openai` for JavaScript', 'Chat Completions', () => new NodeChat()],
  ['`openai` for JavaScript', 'Responses', () => new NodeResponses()],
];

let number = 0;
for (const [client, door, made] of TALKS) {
  for (const [name, played] of Object.entries(CASES)) {
    const talk = made();
    let saw;
    try {
      await talk.begin();
      saw = await played(talk, `${20 + number}.00`);
    } catch (error) {
      saw = { error: `${error.name}: ${error.message}`.slice(0, 500), where: `${error.cause ?? ""}\n${error.stack}`.slice(0, 1500) };
    }
    await talk.close();
    told({ client, door, case: name, shown: talk.shown, ...saw });
  }
  number += 1;
}
told({ saw: true });
process.exit(0);
