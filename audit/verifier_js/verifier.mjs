// The second verifier of Tellergate's evidence bundles, for browsers and Node. It shares no code with verify.py, and says the same.
//
//     import { verify } from "./verifier.mjs";
//     const report = await verify(bytes, { trust, pinned, after });   // Uint8Arrays; `report.asJson()`
//
// The steps and their numbers are those of verify.py: 1 the file, 2 the keys, 3 the manifest, 4 checkpoints, 5 records, 6 the tree,
// 7 order, 8 freshness, 9 disclosures, 10 policies. Each module names its own; what needs several of them is here.
import { Archive, MANIFEST, walk } from "./archive.mjs";
import { cutAtSpace, equal, hashFrom, hexOf, linesOf, textOf } from "./bytes.mjs";
import { stepCheckpoints, stepWitnesses, witnessKeys } from "./checkpoints.mjs";
import { Disclosures } from "./disclosures.mjs";
import { Finding, InputUnreadable, Report, SourceUnreadable } from "./finding.mjs";
import { wholeOf } from "./json.mjs";
import { stepKeys, stepRotations } from "./keys.mjs";
import { madeAt, stepManifest } from "./manifest.mjs";
import { Records } from "./records.mjs";
import { LAST_SECOND, MICROSECONDS } from "./time.mjs";
import { GrowingTree, TreeHashes } from "./tree.mjs";
import { webPrimitives } from "./webcrypto.mjs";

export { InputUnreadable, Report, SourceUnreadable, VERDICTS } from "./finding.mjs";
export { RULES } from "./records.mjs";

const FRESH = 60n * MICROSECONDS;
const INDEX = /^(?:0|[1-9][0-9]{0,15})$/;
const FOR_PEOPLE = new Set(["README.md", "verify.py", MANIFEST]);
const STAMP = /^timestamps\/[0-9]{16}-[0-9]\.(note|tsr)$/;

/**
 * Verify a bundle: a Uint8Array, a Blob, or anything with a `size` and a `read(offset, length)`. `trust`, `pinned` and `after` are bytes
 * of the auditor's own files, each optional; `witnesses` vkeys, of which `quorum` (all of them by default) must have cosigned a
 * checkpoint. InputUnreadable for one of these, and SourceUnreadable; nothing else is thrown.
 * `told` hears of records done, and of how many. `primitives`: sha256, ed25519 and mldsa44; WebCrypto's by default.
 */
export async function verify(source, options = {}) {
  const { trust, pinned, after, witnesses = [], quorum, primitives = webPrimitives(), told = () => {} } = options;
  const report = new Report();
  const witnessed = await witnessKeys(witnesses, quorum, primitives.sha256);
  try {
    const file = sourceOf(source);
    const archive = new Archive(file, await walk(file, primitives.sha256), primitives.sha256); // 1
    const bundle = { archive, primitives, report, told, checkpoints: new Map(), decided: new Set() };
    await stepKeys(bundle, trust); // 2
    await stepRotations(bundle);
    await stepManifest(bundle); // 3
    await stepCheckpoints(bundle, { pinned, after }); // 4
    if (witnessed.keys.length) await stepWitnesses(bundle, witnessed);
    await stepRecords(bundle); // 5, 6 and 9
    await stepOrder(bundle); // 7
    stepFreshness(bundle); // 8
    await stepPolicies(bundle); // 10
  } catch (error) {
    if (error instanceof InputUnreadable || error instanceof SourceUnreadable) throw error;
    if (error instanceof Finding) report.find(error.verdict, error.message);
    else report.find("integrity", `malformed beyond reading (${error?.name})`);
  }
  return report;
}

function sourceOf(source) {
  if (source instanceof Uint8Array) return { size: source.length, read: (at, length) => source.subarray(at, at + length) };
  if (!(typeof Blob === "function" && source instanceof Blob)) return source;
  const read = async (at, length) => {
    try {
      return new Uint8Array(await source.slice(at, at + length).arrayBuffer());
    } catch {
      throw new SourceUnreadable("the file cannot be read");
    }
  };
  return { size: source.size, read };
}

// 6. The tree: of a whole log every record is hashed again, of a selection each has a proof.

async function stepRecords(bundle) {
  const { archive, manifest, primitives, report } = bundle;
  const [records, proofs, hashes] = [new Records(bundle), archive.lines("proofs"), new TreeHashes(primitives.sha256)];
  const disclosures = new Disclosures(bundle);
  await disclosures.begin();
  const tree = bundle.after ? await continued(bundle, hashes) : new GrowingTree(hashes);
  const allOf = wholeOf(manifest, "records");
  let [last, count] = [-1, 0];
  for await (const line of archive.lines("leaves")) {
    const [number, leaf] = cutAtSpace(line);
    const index = Number(number);
    if (!INDEX.test(number) || index <= last || index >= bundle.size) {
      throw new Finding("order", "6. records are not in the order of their index");
    }
    const hashed = await hashes.leaf(leaf);
    await disclosures.take(index, await records.take(index, leaf, hashed));
    if (bundle.whole && index >= bundle.after) await grow(bundle, tree, index, hashed);
    else await prove(bundle, hashes, (await proofs.next()).value, index, hashed);
    last = index;
    count += 1;
    if (count % 1000 === 0) bundle.told(count, allOf);
  }
  records.close();
  disclosures.close();
  if (count !== allOf || (bundle.whole && tree.size !== bundle.size) || !(await proofs.next()).done) {
    throw new Finding("completeness", "6. there are fewer or more records than the manifest says");
  }
  report.facts.records = count;
  report.checked.add("integrity");
  if (!bundle.whole) {
    report.notes.push("a selection: each record is in the log; what follows the last number of a sequence is known from a whole log only");
  }
}

async function continued(bundle, hashes) {
  const { after } = bundle;
  const tree = new GrowingTree(hashes, after, linesOf(await bundle.archive.read("frontier.txt")).map((line) => hashFrom(textOf(line))));
  if (!tree.fits || !equal(await tree.root(), bundle.checkpoints.get(after))) {
    throw new Finding("order", `6. what this bundle continues is not the tree of checkpoint ${after}`);
  }
  return tree;
}

async function grow(bundle, tree, index, hashed) {
  if (index !== tree.size) throw new Finding("completeness", `6. record ${tree.size} is missing`);
  await tree.push(hashed);
  const expected = bundle.checkpoints.get(tree.size);
  if (expected !== undefined && !equal(await tree.root(), expected)) {
    throw new Finding(tree.size === bundle.size ? "integrity" : "order", `6. the records do not lead to checkpoint ${tree.size}`);
  }
}

async function prove(bundle, hashes, line, index, hashed) {
  const [number, ...proof] = line === undefined ? [""] : textOf(line).split(" ");
  if (number !== String(index)) throw new Finding("integrity", `6. record ${index} has no proof`);
  const root = await hashes.included(hashed, index, bundle.size, proof.map(hashFrom));
  if (root === null || !equal(root, bundle.newest)) throw new Finding("integrity", `6. record ${index} is not under the root`);
}

// 7. Order.

async function stepOrder(bundle) {
  const { archive, checkpoints, newest, primitives, report, size } = bundle;
  const hashes = new TreeHashes(primitives.sha256);
  const first = bundle.whole ? bundle.after : size;
  const wanted = new Set([...checkpoints.keys()].filter((old) => old < first));
  let last = 0;
  for await (const line of archive.lines("consistency")) {
    const [number, proof] = cutAtSpace(line);
    const old = Number(number);
    if (!INDEX.test(number) || old <= last || old >= size) throw new Finding("order", "7. consistency proofs are not in their order");
    const path = number.length === line.length ? [] : textOf(proof).split(" ").map(hashFrom);
    const roots = await hashes.consistent(old, size, path);
    if (roots === null || !equal(roots[1], newest) || !equal(checkpoints.get(old) ?? roots[0], roots[0])) {
      throw new Finding("order", `7. checkpoint ${old} is not a prefix of the last`);
    }
    wanted.delete(old);
    last = old;
  }
  if (wanted.size) {
    const which = [...wanted].sort((one, other) => one - other).slice(0, 5).join(", ");
    throw new Finding("order", `7. no consistency proof from ${which}: ask for an export with --from-checkpoint and your checkpoint`);
  }
  report.checked.add("order");
}

// 8. Freshness.

function stepFreshness({ manifest, report, time }) {
  const made = madeAt(manifest);
  if (time > LAST_SECOND) throw new Finding("integrity", "8. the checkpoint is of no time that there is");
  report.facts.checkpoint_time = new Date(Number(time) * 1000).toISOString().replace(".000Z", "+00:00");
  report.checked.add("freshness");
  const age = made - time * MICROSECONDS;
  if (age < -FRESH || age > FRESH) {
    report.find("freshness", "8. the checkpoint was older than 60 s when the bundle was made: a frozen log");
  }
}

// 10. Policies, and what nobody reads.

async function stepPolicies({ archive, decided, primitives, report }) {
  const kept = new Set();
  for (const name of archive.in("policy")) {
    const digest = hexOf(await primitives.sha256(await archive.read(name)));
    if (name !== `policy/${digest}.json`) throw new Finding("integrity", `10. ${name} is not the bundle of rules of that hash`);
    kept.add(digest);
  }
  for (const digest of [...decided].filter((each) => !kept.has(each)).sort()) {
    report.notes.push(`the bundle of rules ${digest} decided and is not in policy/`);
  }
  report.facts.policies = [...kept].sort();
  const stamps = [...archive.entries.keys()].filter((name) => STAMP.test(name));
  if (stamps.length > 0) {
    report.notes.push(`${stamps.filter((name) => name.endsWith(".tsr")).length} time stamps (RFC 3161), not checked`);
  }
  for (const name of archive.entries.keys()) {
    if (!archive.readNames.has(name) && !FOR_PEOPLE.has(name) && !STAMP.test(name)) report.notes.push(`nobody reads the member ${name}`);
  }
}
