// I-JSON (RFC 7493), read strictly, and its canonical form (RFC 8785). Pure.
//
// The engine's own parser does not tell 1 from 1.0 and true, forgets a name that stands twice, and rounds what is beyond 2^53; so an
// object becomes a Map, a whole number below 2^53 a number, a larger one a BigInt, and any other one a Decimal.
import { Finding, InputUnreadable } from "./finding.mjs";
import { bytesOf, equal, textOf } from "./bytes.mjs";

const DEPTH_MOST = 100;
const DIGITS_MOST = 4300;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const HEX = /[0-9a-fA-F]{4}/y;
const BLANK = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** A number that is written with a fraction or an exponent. */
export class Decimal {
  constructor(text) {
    this.text = text;
  }
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  fail() {
    throw new SyntaxError(`not JSON at ${this.at}`);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) this.fail();
    this.at = pattern.lastIndex;
    return found;
  }

  blank() {
    this.match(BLANK);
  }

  next(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  need(word) {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
  }

  value(depth) {
    switch (this.text[this.at]) {
      case "{":
        return this.object(depth + 1);
      case "[":
        return this.array(depth + 1);
      case '"':
        return this.string();
      case "t":
        this.need("true");
        return true;
      case "f":
        this.need("false");
        return false;
      case "n":
        this.need("null");
        return null;
      default:
        return this.number();
    }
  }

  number() {
    const [text, fraction, exponent] = this.match(NUMBER);
    if (fraction !== undefined || exponent !== undefined) return new Decimal(text);
    if (text.length > DIGITS_MOST) this.fail();
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text);
  }

  string() {
    this.need('"');
    let made = "";
    for (;;) {
      made += this.match(PLAIN)[0];
      if (this.next('"')) break;
      this.need("\\");
      const escape = this.text[this.at];
      this.at += 1;
      if (escape === "u") made += String.fromCharCode(parseInt(this.match(HEX)[0], 16));
      else if (escape !== undefined && Object.hasOwn(ESCAPES, escape)) made += ESCAPES[escape];
      else this.fail();
    }
    if (/\p{Surrogate}/u.test(made)) this.fail();
    return made;
  }

  array(depth) {
    this.open("[", depth);
    const values = [];
    if (this.next("]")) return values;
    for (;;) {
      values.push(this.member(depth));
      if (this.next("]")) return values;
      this.need(",");
      this.blank();
    }
  }

  object(depth) {
    this.open("{", depth);
    const members = new Map();
    if (this.next("}")) return members;
    for (;;) {
      const name = this.string();
      if (members.has(name)) this.fail();
      this.blank();
      this.need(":");
      this.blank();
      members.set(name, this.member(depth));
      if (this.next("}")) return members;
      this.need(",");
      this.blank();
    }
  }

  open(bracket, depth) {
    if (depth > DEPTH_MOST) this.fail();
    this.need(bracket);
    this.blank();
  }

  member(depth) {
    const value = this.value(depth);
    this.blank();
    return value;
  }
}

/** The value of a JSON text. SyntaxError for what is no I-JSON, or nested more than 100 deep. */
export function parseJson(text) {
  const reader = new Reader(text);
  reader.blank();
  const value = reader.member(0);
  if (reader.at !== text.length) reader.fail();
  return value;
}

/** The canonical form of RFC 8785, of what holds no Decimal. */
export function canonical(value) {
  if (value instanceof Map) {
    const members = [...value.keys()].sort().map((name) => `${JSON.stringify(name)}:${canonical(value.get(name))}`);
    return `{${members.join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  return typeof value === "bigint" || typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** Whether names are ASCII and numbers whole and below 2^53, as in all that the log signs. */
export function plain(value) {
  if (value instanceof Map) return [...value].every(([name, member]) => /^[\0-\x7f]*$/.test(name) && plain(member));
  if (Array.isArray(value)) return value.every(plain);
  return typeof value !== "bigint" && !(value instanceof Decimal);
}

/** An object out of its canonical bytes. Finding for any other bytes. */
export function load(bytes) {
  const text = textOf(bytes);
  let found;
  try {
    found = parseJson(text);
  } catch {
    throw new Finding("integrity", "JSON that cannot be read");
  }
  if (!(found instanceof Map) || !plain(found) || !equal(bytesOf(canonical(found)), bytes)) {
    throw new Finding("integrity", "JSON that is not in canonical form");
  }
  return found;
}

/** The text of a file of the auditor's own, whatever an editor or a mail made of it: UTF-16, a byte order mark, CRLF, empty lines. */
export function ownText(name, bytes) {
  let text;
  try {
    const wide = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
    text = new TextDecoder(wide, { fatal: true }).decode(bytes);
  } catch {
    throw new InputUnreadable(name, "it is damaged, or something else");
  }
  return text.replaceAll("\r\n", "\n").replace(/^\n+|\n+$/g, "") + "\n";
}

/** A member of a Map that must be there and pass; Finding otherwise. */
export function member(found, name, test, expected) {
  const value = found instanceof Map ? found.get(name) : undefined;
  if (value === undefined || !test(value)) throw new Finding("integrity", `${expected} was expected as ${name}`);
  return value;
}

export const isText = (value) => typeof value === "string";
export const isWhole = (value) => typeof value === "number" && value >= 0;
export const wholeOf = (found, name) => member(found, name, isWhole, "a whole number") + 0;
export const textIn = (found, name) => member(found, name, isText, "a text");
export const textsIn = (found, name) => member(found, name, (value) => Array.isArray(value) && value.every(isText), "a list of texts");
