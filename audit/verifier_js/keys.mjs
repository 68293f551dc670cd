// Step 2. The keys: from the auditor's own trust policy, else the bundle's; and the rotations by which one key follows another.
import { bytesOf, concat, equal, hexOf, textOf } from "./bytes.mjs";
import { Finding, InputUnreadable } from "./finding.mjs";
import { canonical, load, ownText, parseJson, plain, textIn, textsIn, wholeOf } from "./json.mjs";
import { check, ED25519, isName, MLDSA44, parseKey, readNote, renamed } from "./note.mjs";

const ROLES = ["log", "exports"];
const BEGINS = /^[1-9][0-9]{0,15}$/;
const ROTATION = concat(bytesOf("tellergate/rotation/v1\n"), Uint8Array.of(0));

function untrusted(what) {
  return new Finding("authenticity", `2. ${what}`);
}

/** Origin and keys by duty, of a trust policy. */
async function policyOf(found, sha256) {
  if (wholeOf(found, "v") !== 1) throw untrusted("the trust policy is of another version");
  const origin = textIn(found, "origin");
  if (!isName(origin)) throw untrusted("the trust policy names no log");
  const predecessors = continued(found.has("predecessors") ? found.get("predecessors") : [], origin);
  const trust = {};
  for (const role of ROLES) {
    trust[role] = [];
    for (const text of textsIn(found, role)) trust[role].push(await parseKey(text, sha256));
  }
  const kinds = trust.log.map((key) => key.kind);
  if (trust.exports.length === 0 || ![ED25519, MLDSA44].every((kind) => kinds.includes(kind))) {
    throw untrusted("the trust policy lacks a key");
  }
  return { origin, predecessors, origins: [origin, ...predecessors.map((each) => each.origin)], trust };
}

/** The logs that this one continues, each with the index at which it ended: in their order, none twice. */
function continued(found, origin) {
  const isOne = (each) => each instanceof Map && each.size === 2 && each.has("origin") && each.has("until");
  const unclear = untrusted("the trust policy does not say in order which logs this one continues");
  if (!Array.isArray(found) || !found.every(isOne)) throw unclear;
  const line = found.map((each) => ({ origin: textIn(each, "origin"), until: wholeOf(each, "until") }));
  const names = [origin, ...line.map((each) => each.origin)];
  const rises = line.every(({ until }, at) => until > (at > 0 ? line[at - 1].until : 0));
  if (!names.every(isName) || new Set(names).size !== names.length || !rises) throw unclear;
  return line;
}

/** The auditor's own trust policy. InputUnreadable where it is none. */
async function ownPolicy(given, sha256) {
  try {
    const found = parseJson(ownText("trust", given));
    if (!plain(found)) throw new SyntaxError("a number that is not whole");
    return { found, policy: await policyOf(found, sha256) };
  } catch (error) {
    if (error instanceof Finding) throw new InputUnreadable("trust", error.message);
    if (error instanceof SyntaxError) throw new InputUnreadable("trust", "it is damaged, or something else");
    throw error;
  }
}

export async function stepKeys(bundle, given) {
  const { report, primitives } = bundle;
  const own = load(await bundle.archive.read("trust.json"));
  if (given === undefined) {
    Object.assign(bundle, await policyOf(own, primitives.sha256));
    report.notes.push("no --trust: verified against the bundle's own keys; compare their fingerprints");
  } else {
    const { found, policy } = await ownPolicy(given, primitives.sha256);
    Object.assign(bundle, policy);
    if (canonical(found) !== canonical(own)) {
      report.notes.push("the bundle's own trust policy differs from the one given; the given one was used");
    }
  }
  report.facts.keys = [];
  for (const key of [...bundle.trust.log, ...bundle.trust.exports]) {
    const sha256 = hexOf(await primitives.sha256(key.public));
    report.facts.keys.push({ name: key.name, type: key.kind, sha256 });
  }
}

/** When the new key begins (seconds since 1970), the older key and the new one, after both signatures verified. */
export async function readRotation(bytes, origins, primitives) {
  const { text, signatures } = readNote(bytes);
  const lines = textOf(text).split("\n");
  const name = lines[0];
  if (lines.length !== 6 || !origins.some((each) => name === `${each}/rotation`) || !BEGINS.test(lines[2]) || lines[5] !== "") {
    throw untrusted("not a rotation of a key of this log");
  }
  const [old, next] = [await parseKey(lines[3], primitives.sha256), await parseKey(lines[4], primitives.sha256)];
  const alike = old.name === next.name && old.kind === next.kind && old.identity !== next.identity;
  if (!alike || signatures.length !== 2) throw untrusted("a rotation leads from one key to another of its kind, and both sign it");
  for (const [at, key] of [old, next].entries()) {
    const signer = await renamed(key, name, primitives.sha256);
    if (signatures[at].name !== name || !equal(signatures[at].id, signer.id)) {
      throw untrusted("a rotation is signed by the older key first, then by the new one");
    }
    await check(signer, signatures[at].blob, key.kind === ED25519 ? text : concat(ROTATION, text), primitives);
  }
  return { begins: BigInt(lines[2]), old, next };
}

export async function stepRotations(bundle) {
  const { archive, origins, primitives, report } = bundle;
  const [after, before, all] = [new Map(), new Map(), new Set()];
  for (const name of archive.in("rotations")) {
    const { begins, old, next } = await readRotation(await archive.read(name), origins, primitives);
    after.set(old.identity, { begins, key: next });
    before.set(next.identity, { begins, key: old });
    all.add(`${begins} ${old.identity} ${next.identity}`);
  }
  if (after.size !== all.size || before.size !== all.size) throw untrusted("two keys follow the same one, or one follows two");
  bundle.successions = {};
  for (const role of ROLES) bundle.successions[role] = bundle.trust[role].map((key) => succession(key, after, before));
  for (const line of Object.values(bundle.successions).flat()) {
    if (line.length > 1) {
      const digest = hexOf(await primitives.sha256(line.at(-1).key.public));
      report.notes.push(`${line[0].key.name} (type ${line[0].key.kind}) was rotated; its last key has the SHA-256 ${digest}`);
    }
  }
}

/** Every key before and after the one that is trusted, each with the second at which it began. */
function succession(trusted, after, before) {
  const line = [{ begins: 0n, key: trusted }];
  for (let step; (step = after.get(line.at(-1).key.identity)) && line.length <= after.size; ) line.push(step);
  for (let step; (step = before.get(line[0].key.identity)) && line.length <= 2 * after.size; ) {
    line[0] = { begins: step.begins, key: line[0].key };
    line.unshift({ begins: 0n, key: step.key });
  }
  if (line.some(({ begins }, at) => at > 0 && begins <= line[at - 1].begins)) throw untrusted("keys do not follow each other in time");
  return line;
}

/** The key of this duty at this second; the first one for any time before it. */
export function keyAt(line, second) {
  return (line.findLast(({ begins }) => begins <= second) ?? line[0]).key;
}
