// Step 9. Disclosures (RFC 9901) hash to the commitments in their records. They come in the order of the records, and of their paths.
import { base64urlOf, bytesOf, fromBase64url, textOf } from "./bytes.mjs";
import { Finding } from "./finding.mjs";
import { parseJson, wholeOf } from "./json.mjs";

export class Disclosures {
  #next;
  #count = 0;

  constructor(bundle) {
    this.bundle = bundle;
    this.wanted = wholeOf(bundle.manifest, "disclosures");
    this.lines = bundle.archive.lines("disclosures");
  }

  async begin() {
    await this.#advance();
    if (this.#next !== undefined) this.bundle.report.checked.add("disclosure");
  }

  async #advance() {
    this.#next = (await this.lines.next()).value;
  }

  #startsWith(prefix) {
    return this.#next !== undefined && prefix.every((byte, at) => this.#next[at] === byte);
  }

  /** Those of one record, which is null where it cannot be read. */
  async take(index, found) {
    const prefix = bytesOf(`${index} `);
    for (let last = ""; this.#startsWith(prefix); await this.#advance()) {
      const path = await this.#path(found, this.#next.subarray(prefix.length), last);
      if (path === null) this.bundle.report.find("disclosure", `9. a disclosure of record ${index} is not what the record commits to`);
      this.#count += 1;
      last = path ?? last;
    }
  }

  /** The path of a disclosure that is what the record commits to; null of any other. */
  async #path(found, line, last) {
    try {
      const [path, disclosed, ...more] = textOf(line).split(" ");
      const digest = base64urlOf(await this.bundle.primitives.sha256(bytesOf(disclosed ?? "")));
      const opened = parseJson(textOf(fromBase64url(disclosed ?? "")));
      const place = placeOf(found, path);
      const committed = place instanceof Map && place.size === 1 && place.get("commitment") === digest;
      const named = Array.isArray(opened) && opened.length === 3 && opened[1] === path.slice(path.lastIndexOf(".") + 1);
      return committed && named && more.length === 0 && path > last ? path : null;
    } catch (error) {
      if (error instanceof Finding || error instanceof SyntaxError) return null;
      throw error;
    }
  }

  close() {
    if (this.#next !== undefined || this.#count !== this.wanted) {
      this.bundle.report.find("disclosure", "9. there are fewer or more disclosures of these records than the manifest says");
    }
  }
}

/** What stands in the record under a path: a field, a member of one, or of what is sealed. */
function placeOf(found, path) {
  const steps = path.split(".");
  const name = steps.pop();
  const way = steps.join(".") === "sealed" ? ["sealed", "fields", name] : [...steps, name];
  return way.reduce((place, step) => (place instanceof Map ? place.get(step) : undefined), found);
}
