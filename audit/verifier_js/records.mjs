// Step 5. Every record keeps each rule, by itself and beside those before it. Remembers sequences and open intents, not records.
import { base64urlOf, bytesOf, equal } from "./bytes.mjs";
import { Finding } from "./finding.mjs";
import { readRotation } from "./keys.mjs";
import { ENDS, readLeaf } from "./leaf.mjs";
import { MICROSECONDS, moment } from "./time.mjs";

const BACK_MOST = 900n * MICROSECONDS;
const AHEAD_MOST = 60n * MICROSECONDS;
const OPEN_MOST = 900n * MICROSECONDS;
const SEQUENCES = ["customer", "conversation"];

/** What records must keep: the verdict that a breach belongs to, and the rule. */
export const RULES = {
  form: ["integrity", "a record is canonical JSON (RFC 8785) of at most 65,535 bytes"],
  fields: ["integrity", "a record has known fields, kinds, decisions and end states only, nested ones too, each of its shape"],
  needed: ["integrity", "a record has what every record needs, and its kind: an end its call and intent, an intent its instruction"],
  log: ["integrity", "a record is of the log of its range; the first of a successor says which log it follows, and from where"],
  state: ["integrity", "an end state is one of its kind"],
  sealed: ["integrity", "what is committed is sealed, and nothing is sealed without a commitment"],
  backwards: ["order", "no record is more than 15 minutes older than one before it"],
  ahead: ["order", "no record is more than 60 seconds younger than the checkpoint over it"],
  customer: ["completeness", "the records of a customer count from 1 without a gap"],
  conversation: ["completeness", "the records of a conversation count from 1 without a gap"],
  activated: ["integrity", "what decided was activated by an earlier record"],
  rotated: ["authenticity", "a rotation of a signing key is signed by the key before it and by the new one"],
  end: ["integrity", "an end names, by index and hash, an earlier intent that is open; only `reconciled` follows `unknown`"],
  call: ["integrity", "an end is of the call of its intent"],
  open: ["completeness", "no intent is without an end for more than 15 minutes"],
};

export class Records {
  #last = new Map();
  #latest = null;
  #activated = new Set();
  #intents = new Map();
  #ended = new Set();
  #rotations = new Set();
  #states = {};

  constructor(bundle) {
    this.bundle = bundle;
    this.claims = new Map();
    for (const name of SEQUENCES) {
      const claim = bundle.manifest.get(`complete_${name}`);
      if (typeof claim === "string") this.claims.set(`${name} ${claim}`, [name, claim]);
    }
  }

  /** The record, or null where it cannot be read, after every rule was looked at. `hashed` is its leaf hash. */
  async take(index, leaf, hashed) {
    const [found, rules] = readLeaf(leaf, index, this.bundle);
    for (const rule of rules) this.#breach(rule, index);
    if (found === null) return null;
    const time = this.#timed(index, found);
    this.#count(index, found);
    this.#decide(index, found);
    await this.#rotate(index, found);
    const kind = found.get("kind");
    if (kind === "intent") this.#intents.set(index, { leaf: base64urlOf(hashed), time, call: found.get("call"), unknown: false });
    else if (ENDS.has(kind)) this.#end(index, found);
    return found;
  }

  #breach(rule, index) {
    const [verdict, text] = RULES[rule];
    this.bundle.report.find(verdict, `5. record ${index}: ${rule}: ${text}`);
  }

  /** Whether what an earlier record says may be asked for: it was verified before where the bundle continues a checkpoint. */
  #judged(index) {
    return index >= this.bundle.after;
  }

  #timed(index, found) {
    const time = moment(found.get("time"));
    if (this.#latest !== null && time < this.#latest - BACK_MOST) this.#breach("backwards", index);
    if (time > this.bundle.time * MICROSECONDS + AHEAD_MOST) this.#breach("ahead", index);
    if (this.#latest === null || time > this.#latest) this.#latest = time;
    return time;
  }

  #count(index, found) {
    for (const name of SEQUENCES.filter((each) => found.has(each))) {
      const key = `${name} ${found.get(name)}`;
      if (!this.bundle.whole && !this.claims.has(key)) continue;
      const number = found.get(`${name}_seq`);
      if (number !== (this.#last.get(key) ?? 0) + 1 && this.#judged(index)) this.#breach(name, index);
      this.#last.set(key, number);
    }
  }

  #decide(index, found) {
    if (found.get("kind") === "policy.activate") this.#activated.add(found.get("facts").get("bundle"));
    const digest = found.get("policy")?.get("bundle");
    if (digest === undefined) return;
    this.bundle.decided.add(digest);
    if (!this.#activated.has(digest) && this.#judged(index)) this.#breach("activated", index);
  }

  async #rotate(index, found) {
    const statement = found.get("facts")?.get("statement");
    if (found.get("kind") !== "key.rotate" || statement === undefined) return;
    const { archive, origins, primitives, report } = this.bundle;
    const bytes = bytesOf(String(statement));
    try {
      await readRotation(bytes, origins, primitives);
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      this.#breach("rotated", index);
    }
    const name = `rotations/${String(index).padStart(16, "0")}.note`;
    if (!archive.has(name) || !equal(await archive.read(name), bytes)) {
      report.find("authenticity", `5. record ${index}: the rotation on record is not the one in rotations/`);
    }
    this.#rotations.add(name);
  }

  #end(index, found) {
    const at = found.get("intent").get("index");
    const intent = this.#intents.get(at);
    const { whole } = this.bundle;
    if (intent === undefined) {
      if (this.#ended.has(at) || (whole && this.#judged(index))) this.#breach("end", index);
      return;
    }
    const reconciled = found.get("kind") === "reconciled";
    if (intent.leaf !== found.get("intent").get("leaf") || (whole && intent.unknown !== reconciled)) this.#breach("end", index);
    if (intent.call !== found.get("call")) this.#breach("call", index);
    const state = found.get("end_state");
    if (state === "outcome_unknown") {
      intent.unknown = true;
      return;
    }
    this.#intents.delete(at);
    if (!whole) this.#ended.add(at);
    this.#tally(state);
  }

  #tally(state) {
    this.#states[state] = (this.#states[state] ?? 0) + 1;
  }

  /** After the last record: what was left open, and what is claimed and not there. */
  close() {
    const { archive, report, time, whole } = this.bundle;
    for (const [at, intent] of this.#intents) {
      this.#tally(intent.unknown ? "outcome_unknown" : "open");
      if (whole && !intent.unknown && time * MICROSECONDS - intent.time > OPEN_MOST) this.#breach("open", at);
    }
    report.facts.intents = this.#states;
    if (archive.in("rotations").some((name) => !this.#rotations.has(name))) {
      report.find("authenticity", "5. a rotation that is followed is not on record");
    }
    for (const [key, [name, claim]] of this.claims) {
      if (!this.#last.has(key)) report.find("completeness", `5. the bundle claims all records of ${name} '${claim}' and has none`);
    }
    if (whole || this.claims.size) report.checked.add("completeness");
  }
}
