// ML-DSA-44 (FIPS 204) with the empty context, by the library that is carried along: neither WebCrypto nor Node 20 has it.
import { ml_dsa44 } from "./vendor/post-quantum/ml-dsa.js";

export const mldsa44 = (publicKey, signature, message) => ml_dsa44.verify(signature, message, publicKey);
