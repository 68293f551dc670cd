// The customer's pages. Speaks with the passkey, then with our own origin; shows sentences that the page already holds.
"use strict";

const main = document.querySelector("main");
const busy = document.querySelector("[data-busy]");

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function assertion() {
  const known = main.dataset.credentials ? main.dataset.credentials.split(" ") : [];
  const made = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(main.dataset.challenge),
      rpId: main.dataset.rp,
      userVerification: "required",
      timeout: 120000,
      allowCredentials: known.map((id) => ({ type: "public-key", id: bytes(id) })),
    },
  });
  const response = made.response;
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      ...(response.userHandle ? { userHandle: text(response.userHandle) } : {}),
    },
    clientExtensionResults: {},
  };
}

async function post(path, said) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(said) });
  return { ok: answer.ok, told: await answer.json() };
}

async function send(act, said) {
  const { ok, told } = await post(`${main.dataset.path}/${act}`, said);
  if (ok) return told.outcome ?? "signed_in";
  const reason = /^not confirmed \((\w+)\)/.exec(told.error.message);
  return reason && document.querySelector(`[data-outcome="${reason[1]}"]`) ? reason[1] : told.error.code;
}

// What ends the matter takes the buttons away; after everything else the customer may try again.
const ENDS = ["done", "granted", "approval", "in_doubt", "partly", "refused", "declined", "error", "challenge_expired", "invalid_token"];

function show(outcome) {
  for (const each of document.querySelectorAll("[data-outcome]")) each.hidden = true;
  const shown = document.querySelector(`[data-outcome="${outcome}"]`) ?? document.querySelector('[data-outcome="error"]');
  shown.hidden = false;
  const asking = document.querySelector("[data-asking]");
  if (asking && (ENDS.includes(shown.dataset.outcome) || shown.dataset.outcome.startsWith("confirmation_"))) asking.hidden = true;
  shown.querySelector("h2").focus();
  shown.scrollIntoView({ block: "nearest" });
}

async function act(name) {
  if (name === "decline") return send("decline", { decline: true });
  if (!window.PublicKeyCredential) return "unsupported";
  let signed;
  try {
    signed = await assertion();
  } catch {
    return "cancelled";
  }
  return send(name, { assertion: signed });
}

for (const button of document.querySelectorAll("button[data-act]")) {
  button.addEventListener("click", async () => {
    const buttons = document.querySelectorAll("button[data-act]");
    for (const each of buttons) each.disabled = true;
    busy.hidden = button.dataset.act === "decline";
    const outcome = await act(button.dataset.act).catch(() => "error");
    busy.hidden = true;
    for (const each of buttons) each.disabled = false;
    if (outcome === "signed_in") location.reload();
    else show(outcome);
  });
}
