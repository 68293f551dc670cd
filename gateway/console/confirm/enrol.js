// Development mode: creates a passkey for a made-up customer and hands its registration to our own origin.
"use strict";

const ALGORITHMS = [-7, -8, -257]; // ES256, EdDSA, RS256 (IANA COSE)

async function registration(option) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(main.dataset.challenge),
      rp: { id: main.dataset.rp, name: "Tellergate (development)" },
      user: { id: bytes(option.dataset.handle), name: option.value, displayName: option.value },
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      attestation: "none",
      timeout: 120000,
    },
  });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    },
  };
}

async function enrol() {
  const option = document.querySelector("#customer").selectedOptions[0];
  if (!window.PublicKeyCredential) return "unsupported";
  let made;
  try {
    made = await registration(option);
  } catch {
    return "cancelled";
  }
  const { ok, told } = await post("/enrol", { customer: option.value, registration: made });
  return ok ? told.outcome : told.error.code;
}

const button = document.querySelector("[data-enrol]");
button.addEventListener("click", async () => {
  button.disabled = true;
  busy.hidden = false;
  const outcome = await enrol().catch(() => "error");
  busy.hidden = true;
  button.disabled = false;
  show(outcome);
});
