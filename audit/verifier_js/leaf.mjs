// What a record keeps by itself: its form, its fields, and what its kind needs. The closed set of the leaf, version 1.
import { bytesOf, equal, textOf } from "./bytes.mjs";
import { canonical, parseJson } from "./json.mjs";
import { moment } from "./time.mjs";

const LEAF_MOST = 65_535;

const isText = (value) => typeof value === "string";
const matching = (pattern) => (value) => isText(value) && pattern.test(value);
const from = (least) => (value) => typeof value === "number" && value >= least;
const oneOf = (words) => {
  const allowed = new Set(words.split(" "));
  return (value) => isText(value) && allowed.has(value);
};
const isTexts = (value) => Array.isArray(value) && value.every(isText);
const isMap = (value) => value instanceof Map;
const mapOf = (test) => (value) => isMap(value) && [...value].every(([name, each]) => isName(name) && test(each));

/** Characters, not units of UTF-16: what is beyond the basic plane counts once. */
const isLabel = (value) => isText(value) && value !== "" && (value.length <= 255 || [...value].length <= 255);

/** What stands in clear. A number of this parser is whole and below 2^53. */
const isShown = (value) => value === null || ["string", "boolean", "number"].includes(typeof value) || isTexts(value);

/** An object with exactly these members; those behind `optional` may be absent. */
function objectOf(needed, optional = {}) {
  const tests = new Map(Object.entries({ ...needed, ...optional }));
  const names = Object.keys(needed);
  return (value) =>
    isMap(value) && names.every((name) => value.has(name)) && [...value].every(([name, each]) => tests.get(name)?.(each) ?? false);
}

const isDigest = matching(/^[A-Za-z0-9_-]{43}$/);
const isName = matching(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/);
const isId = matching(/^[!-~]{1,255}$/);
const isHash = matching(/^[0-9a-f]{64}$/);
const isCommitted = objectOf({ commitment: isDigest });
const VALUE = new Map([["commitment", isDigest], ["public", isShown], ["masked", isText]]);

/** A value of a call: committed, public or masked, and never two of these. */
function isValue(value) {
  if (!isMap(value) || value.size !== 1) return false;
  const [[form, content]] = value;
  return VALUE.get(form)?.(content) ?? false;
}

const FIELDS = new Map(
  Object.entries({
    v: (value) => value === 1,
    log: isId,
    writer: isId,
    kind: oneOf(
      "deny read intent outcome unknown reconciled confirmation policy.activate key.rotate key.destroy hold.place hold.release " +
        "audit.query audit.reveal audit.export admin census log.start log.stop",
    ),
    time: (value) => moment(value) !== null,
    retention: matching(/^P(?=[0-9])(?:[1-9][0-9]{0,3}Y)?(?:[1-9][0-9]{0,3}M)?(?:[1-9][0-9]{0,4}D)?$/),
    call: isId,
    parent: isId,
    conversation: isId,
    conversation_seq: from(1),
    customer: isId,
    customer_seq: from(1),
    trace: objectOf({ id: matching(/^[0-9a-f]{32}$/), span: matching(/^[0-9a-f]{16}$/) }),
    actor: objectOf({}, { agent: isLabel, model: isLabel, on_behalf_of: isLabel }),
    approver: objectOf({ id: isLabel, saw: isCommitted }),
    function: objectOf({ name: isName, version: from(1), schema: isHash }),
    policy: objectOf({
      bundle: isHash,
      version: isLabel,
      decision: oneOf("permit challenge deny"),
      policies: isTexts,
      reason: isLabel,
      obligations: isTexts,
    }),
    sca: objectOf({ level: isLabel, method: isLabel }, { confirmation: isId, exemption: isLabel, evidence: isCommitted }),
    arguments: mapOf(isValue),
    result: mapOf(isValue),
    sealed: objectOf({ digest: isDigest, fields: mapOf(isCommitted) }),
    grounding: mapOf(isLabel),
    facts: mapOf(isShown),
    timings: mapOf(from(0)),
    redaction: isLabel,
    instruction: isCommitted,
    core_key: isCommitted,
    intent: objectOf({ index: from(0), leaf: isDigest }),
    end_state: oneOf("executed rejected_by_core not_attempted outcome_unknown"),
  }),
);

const ALWAYS = ["v", "log", "writer", "kind", "time", "retention"];
const END = ["call", "intent", "end_state"];
const LOOK = ["actor", "facts"];
const NEEDED = new Map(
  Object.entries({
    deny: ["call", "customer"],
    read: ["call", "customer", "function"],
    intent: ["call", "customer", "function", "instruction"],
    outcome: END,
    unknown: END,
    reconciled: END,
    "policy.activate": ["facts"],
    "key.rotate": ["facts"],
    "audit.query": LOOK,
    "audit.reveal": LOOK,
    "audit.export": LOOK,
    census: ["facts"],
  }),
);
const FINAL = ["executed", "rejected_by_core", "not_attempted"];

/** The kinds of records that end an intent, and the end states of each. */
export const ENDS = new Map([["outcome", FINAL], ["unknown", ["outcome_unknown"]], ["reconciled", FINAL]]);

/** The record, or null where it cannot be read, and the rules that it breaks by itself. */
export function readLeaf(bytes, index, { origin, predecessors }) {
  let found;
  try {
    found = bytes.length > LEAF_MOST ? null : parseJson(textOf(bytes));
  } catch {
    found = null;
  }
  if (!isMap(found)) return [null, ["form"]];
  if (![...found].every(([name, value]) => FIELDS.get(name)?.(value) ?? false)) return [null, ["fields"]];
  if (!equal(bytesOf(canonical(found)), bytes)) return [null, ["form"]];
  const needed = [...ALWAYS, ...(NEEDED.get(found.get("kind")) ?? [])];
  const paired = ["customer", "conversation"].every((name) => found.has(name) === found.has(`${name}_seq`));
  if (!paired || !needed.every((name) => found.has(name))) return [null, ["needed"]];
  const rules = [];
  if (!inLine(found, index, origin, predecessors)) rules.push("log");
  if (found.has("end_state") && !(ENDS.get(found.get("kind")) ?? []).includes(found.get("end_state"))) rules.push("state");
  if (commits(found) !== found.has("sealed")) rules.push("sealed");
  return [found, rules];
}

/** Whether a record is of the log of its range, and continues the one that ended before it. */
function inLine(found, index, origin, predecessors) {
  const ended = predecessors.find(({ until }) => until === index);
  if (ended !== undefined) {
    const facts = found.get("facts");
    const said = ["word", "predecessor", "size"].map((name) => facts?.get(name));
    const [word, predecessor, size] = said;
    if (found.get("kind") !== "admin" || word !== "log_succeeds" || predecessor !== ended.origin || size !== index) return false;
  }
  return found.get("log") === (predecessors.find(({ until }) => index < until)?.origin ?? origin);
}

/** Whether anything in the record is a commitment. */
function commits(found) {
  if (["instruction", "core_key", "approver"].some((name) => found.has(name))) return true;
  if (found.get("sealed")?.get("fields").size || found.get("sca")?.has("evidence")) return true;
  return ["arguments", "result"].some((name) => [...(found.get(name)?.values() ?? [])].some((value) => value.has("commitment")));
}
