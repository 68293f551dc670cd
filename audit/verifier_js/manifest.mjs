// Step 3. The manifest: signed by every export key of its time, and a list of every member but itself with its size and SHA-256.
import { MANIFEST } from "./archive.mjs";
import { textOf } from "./bytes.mjs";
import { Finding } from "./finding.mjs";
import { load, wholeOf } from "./json.mjs";
import { keyAt } from "./keys.mjs";
import { check, readNote, signatureBy } from "./note.mjs";
import { MICROSECONDS, moment } from "./time.mjs";

const VERSION = 2;

const unfit = (what) => new Finding("integrity", what);

export async function stepManifest(bundle) {
  const { archive, primitives } = bundle;
  const { text, signatures } = readNote(await archive.read(MANIFEST));
  const lines = bundle.successions.exports;
  const second = lines.some((line) => line.length > 1) ? madeAt(load(text.subarray(0, -1))) / MICROSECONDS : 0n;
  for (const line of lines) {
    const key = keyAt(line, second);
    await check(key, signatureBy(key, signatures), text, primitives);
  }
  if (signatures.length !== lines.length) throw unfit("3. the manifest bears a signature of an unknown key");
  const manifest = load(text.subarray(0, -1));
  if (wholeOf(manifest, "v") !== VERSION) throw unfit("3. a bundle of another version than this verifier's");
  if (!lists(manifest.get("files"), archive.entries)) throw unfit("3. the members are not those of the manifest");
  if (!manifest.has("origin")) throw unfit("3. the manifest names no log");
  if (manifest.get("origin") !== bundle.origin) {
    throw new Finding("authenticity", "3. the manifest is of another log than the trust policy");
  }
  const [size, after, whole] = [wholeOf(manifest, "size"), wholeOf(manifest, "after"), manifest.get("whole")];
  if (typeof whole !== "boolean" || after >= size || (after > 0 && !whole)) {
    throw unfit("3. the manifest does not say which records these are");
  }
  Object.assign(bundle, { manifest, size, after, whole });
}

/** The moment at which the manifest was made, in microseconds since 1970. */
export function madeAt(manifest) {
  const made = moment(manifest.get("created"));
  if (made === null) throw unfit("8. the manifest does not say when it was made");
  return made;
}

function lists(files, entries) {
  if (!(files instanceof Map) || files.size !== entries.size - 1) return false;
  return [...entries.values()].every(({ name, size, sha256 }) => {
    const told = files.get(name);
    if (name === MANIFEST) return told === undefined;
    return told instanceof Map && told.size === 2 && told.get("bytes") === size && told.get("sha256") === sha256;
  });
}
