// Bytes and their texts: UTF-8, base64 in its one spelling (RFC 4648), hexadecimal. Pure.
import { Finding } from "./finding.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const NEWLINE = 10;

export const bytesOf = (text) => encoder.encode(text);

/** The text of UTF-8 bytes, a byte order mark included. Finding where they are none. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Finding("integrity", "text that is not UTF-8");
  }
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function base64Of(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** The inverse of `base64Of`; Finding for any other text, another spelling of the same bytes included. */
export function fromBase64(text) {
  if (!BASE64.test(text)) throw new Finding("integrity", "base64 that is malformed");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  if (base64Of(bytes) !== text) throw new Finding("integrity", "base64 that is not canonical");
  return bytes;
}

export const base64urlOf = (bytes) => base64Of(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** The inverse of `base64urlOf`, which has no padding; Finding for any other text. */
export function fromBase64url(text) {
  if (/[^A-Za-z0-9_-]/.test(text)) throw new Finding("integrity", "base64url that is malformed");
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4));
}

/** A hash of 32 bytes from its base64. */
export function hashFrom(text) {
  const bytes = fromBase64(text);
  if (bytes.length !== 32) throw new Finding("integrity", "a hash has 32 bytes");
  return bytes;
}

/** Eight bytes, the most significant first. `value` is a BigInt below 2^64. */
export function uint64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** The number in the first eight bytes, or in as many as there are. */
export const numberIn = (bytes) => bytes.subarray(0, 8).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** The lines of a list, without their ends. Finding where the last one has none. */
export function linesOf(bytes) {
  if (bytes.length && bytes.at(-1) !== NEWLINE) throw new Finding("integrity", "a list that does not end with its line");
  const lines = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, at);
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return lines;
}

/** What stands before the first space, as text of single bytes, and what follows it. */
export function cutAtSpace(line) {
  const at = line.indexOf(32);
  const [head, rest] = at < 0 ? [line, new Uint8Array(0)] : [line.subarray(0, at), line.subarray(at + 1)];
  return [String.fromCharCode(...head.subarray(0, 32)) + (head.length > 32 ? "…" : ""), rest];
}
