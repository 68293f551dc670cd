// The verifier in JavaScript, one bundle after the other: a line of JSON with the sizes of what follows it, and the answer as a line.
// `primitives`: node (its own) or web (WebCrypto, as in a browser). With `kind` in the first line: one signature instead, by a key of this kind.
import { argv, stdin, stdout } from "node:process";
import { pathToFileURL } from "node:url";

const [folder, primitives] = argv.slice(2);
const from = (name) => import(pathToFileURL(`${folder}/${name}`).href);
const { InputUnreadable, verify } = await from("verifier.mjs");
const { nodePrimitives } = await from("nodecrypto.mjs");
const { webPrimitives } = await from("webcrypto.mjs");
const { check } = await from("note.mjs");
const calculated = primitives === "web" ? webPrimitives() : nodePrimitives;

let buffered = Buffer.alloc(0);
const input = stdin[Symbol.asyncIterator]();
stdout.write(`${JSON.stringify({ primitives })}\n`); // it is up

async function more() {
  const { done, value } = await input.next();
  if (done) process.exit(0);
  buffered = Buffer.concat([buffered, value]);
}

async function take(size) {
  while (buffered.length < size) await more();
  const taken = buffered.subarray(0, size);
  buffered = buffered.subarray(size);
  return new Uint8Array(taken);
}

for (;;) {
  let end;
  while ((end = buffered.indexOf(10)) < 0) await more();
  const { kind, witnesses, quorum, ...sizes } = JSON.parse(Buffer.from(await take(end + 1)).toString());
  const given = {};
  for (const [name, size] of Object.entries(sizes)) given[name] = await take(size);
  const { bundle, ...own } = given;
  let answer;
  try {
    if (kind === undefined) answer = (await verify(bundle, { ...own, witnesses, quorum, primitives: calculated })).asJson();
    else answer = { verified: await check({ kind, public: own.key }, own.signature, own.message, calculated).then(() => true, () => false) };
  } catch (error) {
    if (!(error instanceof InputUnreadable)) throw error;
    answer = { unreadable: error.name };
  }
  stdout.write(`${JSON.stringify(answer)}\n`);
}
