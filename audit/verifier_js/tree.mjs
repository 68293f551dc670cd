// Hashes of the tree (RFC 6962 section 2.1), and what proofs lead to (RFC 9162 sections 2.1.3.2 and 2.1.4.2).
import { concat } from "./bytes.mjs";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export class TreeHashes {
  constructor(sha256) {
    this.sha256 = sha256;
  }

  leaf(bytes) {
    return this.sha256(concat(LEAF, bytes));
  }

  node(left, right) {
    return this.sha256(concat(NODE, left, right));
  }

  /** The root that an inclusion proof leads to, or null where it is too long or too short. */
  async included(hashed, index, size, proof) {
    let [fn, sn, top] = [BigInt(index), BigInt(size) - 1n, hashed];
    for (const sibling of proof) {
      if (sn === 0n) return null;
      const right = isRight(fn, sn);
      top = await (right ? this.node(sibling, top) : this.node(top, sibling));
      [fn, sn] = up(fn, sn, right);
    }
    return sn === 0n ? top : null;
  }

  /** The roots of the old and the new tree that a proof leads to, 0 < old < new, or null. It begins with the old root of a perfect tree. */
  async consistent(old, size, path) {
    let [fn, sn] = [BigInt(old) - 1n, BigInt(size) - 1n];
    for (; fn & 1n; fn >>= 1n) sn >>= 1n;
    if (path.length === 0) return null;
    let [first, second] = [path[0], path[0]];
    for (const sibling of path.slice(1)) {
      if (sn === 0n) return null;
      const right = isRight(fn, sn);
      if (right) first = await this.node(sibling, first);
      second = await (right ? this.node(sibling, second) : this.node(second, sibling));
      [fn, sn] = up(fn, sn, right);
    }
    return sn === 0n ? [first, second] : null;
  }
}

const isRight = (fn, sn) => (fn & 1n) === 1n || fn === sn;

/** One level up; past every level at which a right edge has no sibling. */
function up(fn, sn, right) {
  while (right && fn !== 0n && (fn & 1n) === 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
  return [fn >> 1n, sn >> 1n];
}

/** A tree that grows: the roots of its perfect subtrees, largest first. */
export class GrowingTree {
  constructor(hashes, size = 0, peaks = []) {
    Object.assign(this, { hashes, size, peaks });
  }

  /** Whether there are as many peaks as a tree of this size has. */
  get fits() {
    return this.size.toString(2).replaceAll("0", "").length === this.peaks.length;
  }

  async push(hashed) {
    let top = hashed;
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) top = await this.hashes.node(this.peaks.pop(), top);
    this.peaks.push(top);
    this.size += 1;
  }

  async root() {
    let top = this.peaks.at(-1);
    for (const left of this.peaks.slice(0, -1).reverse()) top = await this.hashes.node(left, top);
    return top;
  }
}
