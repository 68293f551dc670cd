// Step 4. Checkpoints (C2SP tlog-checkpoint): of this log, signed by every key of the log, by the ones of the time that the ML-DSA-44
// signature states (C2SP tlog-cosignature).
import { bytesOf, concat, equal, hashFrom, hexOf, numberIn, textOf, uint64 } from "./bytes.mjs";
import { Finding, InputUnreadable } from "./finding.mjs";
import { ownText } from "./json.mjs";
import { keyAt } from "./keys.mjs";
import { check, ED25519, MLDSA44, parseKey, readNote, signatureBy, WITNESS } from "./note.mjs";

const DECIMAL = /^(?:0|[1-9][0-9]{0,18})$/;
const LABEL = concat(bytesOf("subtree/v1\n"), Uint8Array.of(0));

/** Size (as it is written, and as a number), root, and second since 1970, after every signature verified. */
async function readCheckpoint(bytes, bundle) {
  const { text, signatures } = readNote(bytes);
  const [origin, decimal, encoded, rest, ...more] = textOf(text).split("\n");
  if (origin !== bundle.origin || !DECIMAL.test(decimal) || rest !== "" || more.length) {
    throw new Finding("authenticity", "4. not a checkpoint of this log");
  }
  const root = hashFrom(encoded);
  const lines = bundle.successions.log;
  const stating = lines.flat().filter(({ key }) => key.kind === MLDSA44);
  const stated = signatures.find(({ id }) => stating.some(({ key }) => equal(key.id, id)));
  const second = stated === undefined ? 0n : numberIn(stated.blob);
  let time = 0n;
  for (const key of lines.map((line) => keyAt(line, second))) {
    const blob = signatureBy(key, signatures);
    if (key.kind === ED25519) {
      await check(key, blob, text, bundle.primitives);
    } else {
      time = numberIn(blob);
      await check(key, blob.subarray(8), cosigned(key.name, time, origin, BigInt(decimal), root), bundle.primitives);
    }
  }
  return { decimal, size: Number(decimal), root, time };
}

/** What an ML-DSA-44 cosigner signs: its name, the time, and the subtree of this log from 0 to its size. */
function cosigned(name, time, origin, size, root) {
  const [cosigner, log] = [bytesOf(name), bytesOf(origin)];
  const named = concat(LABEL, Uint8Array.of(cosigner.length), cosigner, uint64(time), Uint8Array.of(log.length), log);
  return concat(named, uint64(0n), uint64(size), root);
}

/** One that the auditor kept. InputUnreadable where it is damaged; a finding where it is whole, and signed by other keys. */
async function keptCheckpoint(name, given, bundle) {
  const bytes = bytesOf(ownText(name, given));
  const unreadable = (error) => {
    if (!(error instanceof Finding)) throw error;
    return new InputUnreadable(name, `it is damaged (${error.message})`);
  };
  let note;
  try {
    note = readNote(bytes);
  } catch (error) {
    throw unreadable(error);
  }
  if (textOf(note.text).split("\n").length !== 4) throw new InputUnreadable(name, "it is no checkpoint");
  const known = bundle.successions.log.flat();
  if (!note.signatures.some((signature) => known.some(({ key }) => key.name === signature.name && equal(key.id, signature.id)))) {
    throw new Finding("authenticity", `4. the ${name} checkpoint is of another log, or signed by other keys than this bundle's`);
  }
  try {
    return await readCheckpoint(bytes, bundle);
  } catch (error) {
    throw unreadable(error);
  }
}

export async function stepCheckpoints(bundle, given) {
  const { archive, report, checkpoints } = bundle;
  let last = 0;
  for (const name of archive.in("checkpoints")) {
    const { decimal, size, root, time } = await readCheckpoint(await archive.read(name), bundle);
    if (name !== `checkpoints/${decimal.padStart(16, "0")}.note` || size === 0) {
      throw new Finding("integrity", "4. a checkpoint under another's name");
    }
    checkpoints.set(size, root);
    Object.assign(bundle, { newest: root, time });
    last = size;
  }
  if (last !== bundle.size) throw new Finding("order", "4. the last checkpoint is not the manifest's");
  Object.assign(report.facts, { origin: bundle.origin, size: bundle.size, root: hexOf(bundle.newest) });
  for (const name of ["pinned", "after"]) if (given[name] !== undefined) await compare(name, given[name], bundle);
  if (bundle.after > 0 && given.after === undefined) {
    throw new Finding("order", `4. this bundle continues checkpoint ${bundle.after}: give the one that you verified, --after-checkpoint`);
  }
  if (given.pinned === undefined && given.after === undefined) {
    report.notes.push("no --pinned: a shorter log that the bank signed again would not be found");
  }
  report.checked.add("authenticity");
}

async function compare(name, given, bundle) {
  const { size, root } = await keptCheckpoint(name, given, bundle);
  if (size > bundle.size || !equal(bundle.checkpoints.get(size) ?? root, root)) {
    throw new Finding("order", `4. the ${name} checkpoint is ahead of this log, or of another history`);
  }
  if (size > 0) bundle.checkpoints.set(size, root);
  if (name === "after" && bundle.after !== 0 && bundle.after !== size) {
    throw new Finding("order", `4. this bundle continues checkpoint ${bundle.after}, not the one of --after-checkpoint`);
  }
}

/** The keys of witnesses, from their vkeys. InputUnreadable for one that cannot be used, and for a quorum that there cannot be. */
export async function witnessKeys(vkeys, quorum, sha256) {
  const keys = [];
  try {
    for (const vkey of vkeys) keys.push(await parseKey(vkey, sha256, [WITNESS, MLDSA44]));
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    throw new InputUnreadable("witnesses", "a witness is named by its vkey, as `witness keygen` prints it");
  }
  const names = new Set(keys.map((key) => key.name));
  if (quorum !== undefined && !(Number.isSafeInteger(quorum) && quorum > 0 && quorum <= names.size)) {
    throw new InputUnreadable("witnesses", "the quorum is from 1 to the number of witnesses that are named");
  }
  return { keys, names, quorum: quorum ?? names.size };
}

/** The newest checkpoint that enough witnesses cosigned, each by all of its keys. */
export async function stepWitnesses(bundle, { keys, names, quorum }) {
  const { archive, report, size } = bundle;
  let newest = 0;
  for (const name of archive.in("checkpoints")) {
    const { text, signatures } = readNote(await archive.read(name));
    const lacking = new Set();
    for (const key of keys) if (!(await cosignedBy(key, text, signatures, bundle))) lacking.add(key.name);
    if (names.size - lacking.size >= quorum) newest = Number(textOf(text).split("\n")[1]);
  }
  report.facts.witnessed_size = newest;
  if (newest === 0) throw new Finding("order", "4. no checkpoint of this bundle is cosigned by enough of the witnesses");
  if (newest < size) report.notes.push(`the witnesses cosigned ${newest} of ${size} records; what follows is on the bank's word`);
}

async function cosignedBy(key, text, signatures, { primitives }) {
  try {
    const blob = signatureBy(key, signatures);
    const time = numberIn(blob);
    const [origin, decimal, encoded] = textOf(text).split("\n");
    const message =
      key.kind === WITNESS
        ? concat(bytesOf(`cosignature/v1\ntime ${time}\n`), text)
        : cosigned(key.name, time, origin, BigInt(decimal), hashFrom(encoded));
    await check(key, blob.subarray(8), message, primitives);
    return true;
  } catch (error) {
    if (error instanceof Finding) return false;
    throw error;
  }
}
