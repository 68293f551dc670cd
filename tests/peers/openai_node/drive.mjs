// OpenAI's own client for JavaScript against a gateway: BASE_URL SERVICE_KEY CUSTOMER_KEY. Prints what it saw, as JSON.

import OpenAI, { toFile } from 'openai';
import { VERSION } from 'openai/version';

const [url, serviceKey, customerKey] = process.argv.slice(2);
const of = (apiKey) => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
const service = of(serviceKey);
const customer = of(customerKey);
const POLL = { pollIntervalMs: 50 };
const text = (name, content) => toFile(Buffer.from(content), name);
const saw = { openai: VERSION };

async function kept() {
  const file = await service.files.create({ file: await text('hours.txt', 'We are open from nine to five.\n'), purpose: 'assistants' });
  const processed = await service.files.waitForProcessing(file.id, { pollInterval: 50 });
  saw.content = await (await service.files.content(file.id)).text();
  const store = await service.vectorStores.create({ name: 'Terms' });
  const one = await service.vectorStores.files.uploadAndPoll(store.id, await text('cards.txt', 'A lost card costs ten euros.\n'), POLL);
  const files = [await text('fees.txt', 'A transfer abroad costs three euros.\n'), await text('rates.txt', 'Savings earn two in a hundred.\n')];
  const batch = await service.vectorStores.fileBatches.uploadAndPoll(store.id, { files, fileIds: [file.id] }, POLL);
  saw.indexed = [processed.status, one.status, batch.status, batch.file_counts.completed];
  saw.found = [];
  for await (const item of service.vectorStores.search(store.id, { query: 'What does a lost card cost?' })) saw.found.push(item.filename);
  saw.listed = [];
  for await (const item of service.vectorStores.files.list(store.id)) saw.listed.push(item.status);
  return store.id;
}

async function uploaded() {
  const table = Buffer.from('month,spent\n1,120\n2,80\n3,95\n');
  const cut = [table.subarray(0, 10), table.subarray(10)];
  const upload = await customer.uploads.create({ bytes: table.length, filename: 'spent.csv', mime_type: 'text/csv', purpose: 'assistants' });
  const parts = [];
  for (const data of cut) parts.push(await customer.uploads.parts.create(upload.id, { data: await toFile(data, 'part') }));
  const done = await customer.uploads.complete(upload.id, { part_ids: parts.map((part) => part.id) });
  saw.upload = [done.status, done.file.filename, done.file.bytes];
  return done.file.id;
}

// What a message cites, as this language cuts a text out: by units of UTF-16, and by code points.
const cuts = (block) =>
  block.text.annotations.map((note) => ({
    type: note.type,
    text: note.text,
    units: block.text.value.slice(note.start_index, note.end_index),
    points: [...block.text.value].slice(note.start_index, note.end_index).join(''),
  }));

async function searched(store) {
  const threads = customer.beta.threads;
  const made = { model: 'scripted', tools: [{ type: 'file_search' }], tool_resources: { file_search: { vector_store_ids: [store] } } };
  const assistant = await service.beta.assistants.create(made);
  const thread = await threads.create({ messages: [{ role: 'user', content: 'What do the terms say about a lost card?' }] });
  const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id }, POLL);
  const [block] = (await threads.messages.list(thread.id)).data[0].content;
  saw.polled = { status: run.status, value: block.text.value, cuts: cuts(block) };
  const [file] = block.text.annotations.map((note) => note.file_citation.file_id);
  saw.cited = (await service.files.retrieve(file)).filename;

  await threads.messages.create(thread.id, { role: 'user', content: 'And what do the terms say with a picture?' });
  let heard = '';
  const include = ['step_details.tool_calls[*].file_search.results[*].content'];
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id, include });
  stream.on('textDelta', (delta) => (heard += delta.value ?? ''));
  const [message] = await stream.finalMessages();
  const [step] = await stream.finalRunSteps();
  const result = step.step_details.tool_calls[0].file_search.results[0];
  const status = (await stream.finalRun()).status;
  saw.streamed = { status, heard, value: message.content[0].text.value, cuts: cuts(message.content[0]), passage: result.content[0].text };
}

async function computed(file) {
  const threads = customer.beta.threads;
  const assistant = await service.beta.assistants.create({ model: 'scripted', tools: [{ type: 'code_interpreter' }] });
  const attachments = [{ file_id: file, tools: [{ type: 'code_interpreter' }] }];
  const thread = await threads.create({ messages: [{ role: 'user', content: 'Draw my table.', attachments }] });
  const pieces = { code: '', logs: '', images: 0 };
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
  stream.on('toolCallDelta', (delta) => {
    pieces.code += delta.code_interpreter?.input ?? '';
    for (const output of delta.code_interpreter?.outputs ?? []) {
      if (output.type === 'logs') pieces.logs += output.logs;
      else pieces.images += 1;
    }
  });
  const [message] = await stream.finalMessages();
  const [step] = await stream.finalRunSteps();
  const bytes = async (id) => Buffer.from(await (await customer.files.content(id)).arrayBuffer());
  const image = message.content.find((part) => part.type === 'image_file');
  const block = message.content.find((part) => part.type === 'text');
  saw.code = { input: step.step_details.tool_calls[0].code_interpreter.input, pieces, cuts: cuts(block) };
  if (image) saw.image = (await bytes(image.image_file.file_id)).subarray(1, 4).toString();
  const [path] = block.text.annotations;
  if (path) saw.table = (await bytes(path.file_path.file_id)).toString();
}

const store = await kept();
await searched(store);
await computed(await uploaded());
saw.deleted = (await service.vectorStores.delete(store)).deleted;
console.log(JSON.stringify(saw));
