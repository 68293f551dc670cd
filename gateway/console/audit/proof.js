// The check of one record, in the browser, of nothing but what is handed in: RFC 6962 leaf hash and inclusion path, C2SP signed note.
// Owns no state and asks no server. Every function that checks throws an Error with a code as its message.

const DASH = "\u2014 ";

export function unb64(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

export const leafHash = (leaf) => sha256(Uint8Array.of(0), leaf);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The root that an inclusion path leads to (RFC 9162, 2.1.3.2). Numbers above 2^53 do not occur; halving is by division. */
export async function rootOf(index, size, leaf, path) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) throw new Error("position");
  let node = index, last = size - 1, root = leaf;
  for (const sibling of path) {
    if (sibling.length !== 32 || last === 0) throw new Error("path");
    if (node % 2 === 1 || node === last) {
      root = await nodeHash(sibling, root);
      while (node % 2 === 0 && node !== 0) { node /= 2; last = Math.floor(last / 2); }
    } else {
      root = await nodeHash(root, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("path");
  return root;
}

/** A signed note's text, and its signature lines. */
export function parseNote(note) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw new Error("note");
  const signatures = note.slice(cut + 2, -1).split("\n").map((line) => {
    const [name, blob, ...rest] = line.startsWith(DASH) ? line.slice(DASH.length).split(" ") : [];
    if (!name || !blob || rest.length) throw new Error("note");
    const raw = unb64(blob);
    return { name, id: raw.slice(0, 4), signature: raw.slice(4) };
  });
  return { text: note.slice(0, cut + 1), signatures };
}

/** The three lines of a checkpoint. */
export function parseCheckpoint(text) {
  const [origin, size, root, ...rest] = text.split("\n");
  if (!origin || !/^(0|[1-9][0-9]{0,15})$/.test(size ?? "") || rest.length !== 1 || rest[0] !== "") throw new Error("note");
  return { origin, size: Number(size), root: unb64(root) };
}

/** A C2SP vkey of an Ed25519 key: its name, its id (which must be its own) and the key. */
export async function parseKey(vkey) {
  const match = /^([!-*,-~]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey.trim());
  if (match === null) throw new Error("key");
  const raw = unb64(match[3]);
  if (raw.length !== 33 || raw[0] !== 1) throw new Error("key");
  const id = (await sha256(new TextEncoder().encode(`${match[1]}\n`), raw)).slice(0, 4);
  if (match[2] !== [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("")) throw new Error("key");
  return { name: match[1], id, raw: raw.slice(1) };
}

/** Whether this key signed this note. */
export async function isSigned(note, vkey) {
  const { text, signatures } = parseNote(note);
  const key = await parseKey(vkey);
  const found = signatures.find((item) => item.name === key.name && same(item.id, key.id));
  if (found === undefined) return false;
  const imported = await crypto.subtle.importKey("raw", key.raw, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, found.signature, new TextEncoder().encode(text));
}

/** Every step, in order, as [name, whether it holds]; it stops at the first that does not. */
export async function check(proof, vkey) {
  const steps = [];
  const step = async (name, test) => {
    let holds = false;
    try { holds = await test(); } catch { holds = false; }
    steps.push([name, holds]);
    return holds;
  };
  let leaf, checkpoint;
  const hold = await step("leaf", async () => { leaf = await leafHash(unb64(proof.leaf)); return leaf.length === 32; })
    && await step("checkpoint", () => {
      checkpoint = parseCheckpoint(parseNote(proof.note).text);
      return checkpoint.size === proof.size;
    })
    && await step("path", async () =>
      same(await rootOf(proof.index, proof.size, leaf, proof.hashes.map(unb64)), checkpoint.root))
    && await step("origin", async () => (await parseKey(vkey)).name === checkpoint.origin)
    && await step("signature", () => isSigned(proof.note, vkey));
  return { steps, holds: hold };
}
