// C2SP signed notes and the keys that sign them (vkeys): type 1 is Ed25519, type 4 a witness's Ed25519, type 6 ML-DSA-44.
import { base64Of, bytesOf, concat, equal, fromBase64, hexOf, textOf } from "./bytes.mjs";
import { Finding } from "./finding.mjs";

export const ED25519 = 1;
export const WITNESS = 4;
export const MLDSA44 = 6;
const SIGNATURES_MOST = 16;
const DASH = "\u2014";
const NAME = /^[!-*,-~]{1,255}$/;
const PRIME = 2n ** 255n - 19n;
const EIGHTH = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const LOW_ORDER = [0n, 1n, PRIME - 1n, EIGHTH, PRIME - EIGHTH];

export const isName = (text) => NAME.test(text);

/** Under a point of order 1, 2, 4 or 8 anything verifies; so may one that is not reduced below the field's prime. */
function lowOrder(publicBytes) {
  if (publicBytes.length !== 32) return true;
  const y = publicBytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) & (2n ** 255n - 1n);
  return y >= PRIME || LOW_ORDER.includes(y);
}

async function keyId(name, kind, publicBytes, sha256) {
  return (await sha256(concat(bytesOf(`${name}\n`), Uint8Array.of(kind), publicBytes))).slice(0, 4);
}

/** The same key under another name, as rotations are signed. */
export async function renamed(key, name, sha256) {
  return { ...key, name, id: await keyId(name, key.kind, key.public, sha256) };
}

/** A vkey: name, id and material with a plus between. Finding for one that cannot be used, or is of another kind. */
export async function parseKey(text, sha256, kinds = [ED25519, MLDSA44]) {
  const [name, id, ...rest] = text.split("+");
  let material = new Uint8Array(0);
  try {
    material = fromBase64(rest.join("+"));
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
  }
  const [kind, publicBytes] = [material[0], material.subarray(1)];
  const usable = isName(name) && kinds.includes(kind) && (kind === MLDSA44 || !lowOrder(publicBytes));
  const key = usable && { name, kind, public: publicBytes, id: await keyId(name, kind, publicBytes, sha256) };
  if (!key || hexOf(key.id) !== id) throw new Finding("authenticity", "2. a key that cannot be used");
  return { ...key, identity: `${name}+${hexOf(material)}` };
}

/** A note's text as bytes, and its signatures, none of them verified. Finding unless it is in its one spelling. */
export function readNote(bytes) {
  const encoded = textOf(bytes);
  const cut = encoded.lastIndexOf("\n\n");
  const lines = encoded.slice(cut + 2).replace(/\n$/, "").split("\n");
  if (cut < 0) throw new Finding("integrity", "a note is malformed");
  const signatures = lines.map((line) => {
    const [dash, name, blob, ...more] = line.split(" ");
    if (dash !== DASH || blob === undefined || more.length) throw new Finding("integrity", "a note is malformed");
    const raw = fromBase64(blob);
    return { name, id: raw.subarray(0, 4), blob: raw.subarray(4) };
  });
  const text = encoded.slice(0, cut + 1);
  const again = signatures.map(({ name, id, blob }) => `${DASH} ${name} ${base64Of(concat(id, blob))}\n`).join("");
  if (`${text}\n${again}` !== encoded) throw new Finding("integrity", "a note is not in canonical form");
  return { text: bytesOf(text), signatures };
}

/** The one signature by this key. */
export function signatureBy(key, signatures) {
  const found = signatures.filter(({ name, id }) => name === key.name && equal(id, key.id));
  if (found.length !== 1 || signatures.length > SIGNATURES_MOST) {
    throw new Finding("authenticity", `the signature of ${key.name} (type ${key.kind}) is absent or doubled`);
  }
  return found[0].blob;
}

/** Finding unless this key signed this message. */
export async function check(key, signature, message, primitives) {
  const verified = key.kind === MLDSA44 ? primitives.mldsa44 : primitives.ed25519;
  let good = false;
  try {
    good = (await verified(key.public, signature, message)) === true;
  } catch {
    // a key or a signature of another length, or a key that is no point of the curve
  }
  if (!good) throw new Finding("authenticity", `a signature of ${key.name} (type ${key.kind}) does not verify`);
}
