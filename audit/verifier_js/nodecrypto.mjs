// The same in Node: its own SHA-256 and Ed25519, which are quicker there than WebCrypto, and no experiment in Node 20.
import { createHash, createPublicKey, verify } from "node:crypto";
import { mldsa44 } from "./mldsa44.mjs";

const SPKI = Buffer.from("302a300506032b6570032100", "hex");

export const nodePrimitives = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  ed25519: (publicKey, signature, message) => {
    const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: "der", type: "spki" });
    return signature.length === 64 && verify(null, message, key, signature);
  },
  mldsa44,
};
