// Moments as records and manifests state them: RFC 3339 in UTC with six digits, of a day that there is; in microseconds since 1970.
const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}\.[0-9]{6}Z$/;

export const MICROSECONDS = 1_000_000n;
export const LAST_SECOND = 253_402_300_799n;

/** A BigInt, or null for what is no such moment. */
export function moment(text) {
  if (typeof text !== "string" || !TIME.test(text) || text.startsWith("0000")) return null;
  const second = `${text.slice(0, 19)}.000Z`;
  const date = new Date(second);
  if (Number.isNaN(date.getTime()) || date.toISOString() !== second) return null;
  return BigInt(date.getTime()) * 1000n + BigInt(text.slice(20, 26));
}
