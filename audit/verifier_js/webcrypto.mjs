// What the verifier calculates with in a browser: SHA-256 and Ed25519 of WebCrypto.
import { mldsa44 } from "./mldsa44.mjs";

export function webPrimitives({ subtle } = globalThis.crypto) {
  return {
    sha256: async (bytes) => new Uint8Array(await subtle.digest("SHA-256", bytes)),
    ed25519: async (publicKey, signature, message) => {
      const key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
      return subtle.verify({ name: "Ed25519" }, key, signature, message);
    },
    mldsa44,
  };
}
