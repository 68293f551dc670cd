// Step 1. The file is a zip exactly as the export writes it: stored members in the order of their names, the manifest last, ZIP64 where
// an offset needs it. Headers and directory are made again from the members and compared, so that no byte of the file is ignored.
import { bytesOf, concat, equal, hexOf, linesOf, textOf } from "./bytes.mjs";
import { Finding } from "./finding.mjs";

export const MANIFEST = "manifest.note";
const MEMBER = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/;
const MEMBER_MOST = 2 ** 24;
const MEMBERS_MOST = 1_000_000;
const HEADER = 30;
const LOCAL = 0x04034b50;
const FAR = 2 ** 32 - 1;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let value = ~0;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

/** Numbers in the order of Intel, each of as many bytes as stand beside it. */
function packed(...fields) {
  const bytes = new Uint8Array(fields.reduce((size, [width]) => size + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

/** What a member's header and its line of the directory have in common: UTF-8 names, stored, 1980-01-01. */
function common(needs, entry, extra) {
  const { crc, size, name } = entry;
  return packed([2, needs], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, size], [4, size], [2, name.length], [2, extra]);
}

function localHeader(entry) {
  return concat(packed([4, LOCAL]), common(20, entry, 0), bytesOf(entry.name));
}

/** What stands behind the members, which end at `start`. */
function directory(entries, start) {
  const parts = [];
  for (const entry of entries) {
    const far = entry.offset >= FAR;
    const extra = far ? packed([2, 1], [2, 8], [8, entry.offset]) : new Uint8Array(0);
    const attributes = packed([2, 0], [2, 0], [2, 0], [4, 0o100644 * 2 ** 16], [4, Math.min(entry.offset, FAR)]);
    parts.push(packed([4, 0x02014b50], [2, 0x314]), common(far ? 45 : 20, entry, extra.length), attributes, bytesOf(entry.name), extra);
  }
  const body = concat(...parts);
  const count = entries.length;
  if (count < 2 ** 16 - 1 && start < FAR && body.length < FAR) return concat(body, endOf(count, body.length, start));
  const wide = packed([4, 0x06064b50], [8, 44], [2, 0x32d], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, body.length], [8, start]);
  const locator = packed([4, 0x07064b50], [4, 0], [8, start + body.length], [4, 1]);
  return concat(body, wide, locator, endOf(2 ** 16 - 1, FAR, FAR));
}

const endOf = (count, size, start) => packed([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, start], [2, 0]);

/** The members by name, each with its offset, size, CRC-32 and SHA-256. `source` has a `size` and reads bytes at an offset. */
export async function walk(source, sha256) {
  const entries = new Map();
  let at = 0;
  let last = "";
  for (;;) {
    const head = await source.read(at, HEADER);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    if (head.length < HEADER || view.getUint32(0, true) !== LOCAL) break;
    const [size, label] = [view.getUint32(22, true), view.getUint16(26, true)];
    if (size > MEMBER_MOST || entries.size >= MEMBERS_MOST) fail("a member larger, or more members, than an export writes");
    const rest = await source.read(at + HEADER, label + size);
    const name = textOf(rest.subarray(0, label));
    const content = rest.subarray(label);
    if (!MEMBER.test(name)) fail("a member whose name could lead out of the folder");
    const entry = { name, offset: at, size, crc: crc32(content) };
    if (content.length !== size || !equal(concat(head, rest.subarray(0, label)), localHeader(entry))) {
      fail("a member's header is not what its content gives");
    }
    if (entries.has(MANIFEST) || (name <= last && name !== MANIFEST)) fail("members are doubled, or not in their order");
    entries.set(name, { ...entry, sha256: hexOf(await sha256(content)) });
    at += HEADER + label + size;
    last = name;
  }
  const expected = directory([...entries.values()], at);
  if (entries.size === 0 || source.size - at !== expected.length || !equal(await source.read(at, expected.length), expected)) {
    fail("not a zip as the export writes it: bytes behind the members are not what these give");
  }
  return entries;
}

function fail(what) {
  throw new Finding("integrity", `1. ${what}`);
}

/** The members of a file that was walked. Remembers which were read. */
export class Archive {
  readNames = new Set();

  constructor(source, entries, sha256) {
    this.source = source;
    this.entries = entries;
    this.sha256 = sha256;
  }

  has(name) {
    return this.entries.has(name);
  }

  in(folder) {
    return [...this.entries.keys()].filter((name) => name.startsWith(`${folder}/`));
  }

  /** A member's content, looked at again: what is read is what was hashed. */
  async read(name) {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new Finding("integrity", `the member ${name} is absent`);
    const content = await this.source.read(entry.offset + HEADER + name.length, entry.size);
    if (hexOf(await this.sha256(content)) !== entry.sha256) throw new Finding("integrity", `the member ${name} changed while it was read`);
    this.readNames.add(name);
    return content;
  }

  /** The lines of a list, part after part. */
  async *lines(folder) {
    for (let number = 0; ; number += 1) {
      const name = `${folder}/${String(number).padStart(6, "0")}.txt`;
      if (!this.has(name)) return;
      yield* linesOf(await this.read(name));
    }
  }
}
