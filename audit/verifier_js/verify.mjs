// Verifies an evidence bundle of a Tellergate log, with Node 20 or newer and nothing else.
//
//     node verify.mjs BUNDLE [--json] [--trust FILE] [--pinned CHECKPOINT] [--after-checkpoint CHECKPOINT]
//         [--witness VKEY]... [--witness-quorum N]
//
// Exit status 0: everything held; 1: a finding; 2: wrong usage, or a file of yours that cannot be read for what it is.
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { parseArgs } from "node:util";
import { nodePrimitives } from "./nodecrypto.mjs";
import { InputUnreadable, SourceUnreadable, VERDICTS, verify } from "./verifier.mjs";

const OWN_FILE_MOST = 2 ** 16;
const OWN_FILES = { trust: "trust", pinned: "pinned", after: "after-checkpoint" };
const USAGE =
  "usage: verify.mjs [--json] [--trust FILE] [--pinned CHECKPOINT] [--after-checkpoint CHECKPOINT] " +
  "[--witness VKEY]... [--witness-quorum N] BUNDLE";

class WrongUse extends Error {}

function optionsOf(given) {
  const file = { type: "string" };
  const flags = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } };
  const files = { trust: file, pinned: file, "after-checkpoint": file };
  const options = { ...flags, ...files, witness: { type: "string", multiple: true }, "witness-quorum": file };
  try {
    const { values, positionals } = parseArgs({ args: given, options, allowPositionals: true });
    if (positionals.length !== 1 && !values.help) throw new WrongUse("one bundle is verified at a time");
    return { ...values, bundle: positionals[0] };
  } catch (error) {
    throw new WrongUse(error.message);
  }
}

/** A file that is read as it is asked for. */
async function opened(path) {
  const cannot = () => new WrongUse(`cannot read ${path}`);
  const file = await open(path).catch(() => Promise.reject(cannot()));
  const status = await file.stat();
  if (status.isDirectory()) throw cannot();
  const read = async (at, length) => {
    const size = Math.max(0, Math.min(length, status.size - at));
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, at);
      return buffer.subarray(0, bytesRead);
    } catch {
      throw new SourceUnreadable(path);
    }
  };
  return { size: status.size, read, close: () => file.close() };
}

/** A file of the auditor's own, a pipe too; what is longer than such files are is cut off. */
async function ownFile(path) {
  const parts = [];
  try {
    for await (const part of createReadStream(path, { end: OWN_FILE_MOST - 1 })) parts.push(part);
  } catch {
    throw new WrongUse(`cannot read ${path}`);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function told(done, allOf) {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${allOf} records`);
}

function shown(report, json) {
  if (json) return JSON.stringify(report.asJson(), null, 2);
  const lines = VERDICTS.map((name) => `${name.padEnd(13)} ${report.verdict(name)}`);
  const found = report.findings.map(({ verdict, what }) => `finding: ${verdict}: ${what}`);
  return [...lines, ...found, ...report.notes.map((note) => `note: ${note}`)].join("\n");
}

/** Verify as the arguments say; the exit status. */
export async function main(given, write) {
  const options = optionsOf(given);
  if (options.help) {
    write(USAGE);
    return 0;
  }
  const own = {};
  for (const [name, option] of Object.entries(OWN_FILES)) {
    if (options[option] !== undefined) own[name] = await ownFile(options[option]);
  }
  const file = await opened(options.bundle);
  try {
    const quorum = options["witness-quorum"] === undefined ? undefined : Number(options["witness-quorum"]);
    const report = await verify(file, { ...own, witnesses: options.witness, quorum, primitives: nodePrimitives, told });
    write(shown(report, options.json));
    return report.good ? 0 : 1;
  } catch (error) {
    if (error instanceof InputUnreadable && error.name === "witnesses") throw new WrongUse(error.message);
    if (error instanceof InputUnreadable) throw new WrongUse(`cannot use ${options[OWN_FILES[error.name]]}: ${error.message}`);
    if (error instanceof SourceUnreadable) throw new WrongUse(`cannot read ${options.bundle}`);
    throw error;
  } finally {
    await file.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2), (text) => process.stdout.write(`${text}\n`));
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${USAGE}\nverify.mjs: error: ${error.message}\n`);
  process.exitCode = 2;
}
