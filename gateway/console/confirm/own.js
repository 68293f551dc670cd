// Revoke a standing mandate, or ask for one. Comes after confirm.js, whose `post` and `show` it uses.
"use strict";

// Of a request that was not taken; what it says is at its place already, or none of the page's sentences fits.
const failed = (told) => show(told.error?.code === "audit_unavailable" ? "temporarily_unavailable" : (told.error?.code ?? "error"));

for (const button of document.querySelectorAll("button[data-revoke]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    const { ok, told } = await post(`/mandates/${button.dataset.revoke}/revoke`, { revoke: true }).catch(() => ({ ok: false, told: {} }));
    button.disabled = false;
    if (!ok) return failed(told);
    const revoked = button.closest("[data-mandate]").querySelector("[data-revoked]");
    button.parentElement.hidden = true;
    revoked.hidden = false;
    revoked.focus();
  });
}

const form = document.querySelector("form[data-new]");

function wrong(fields) {
  for (const place of form.querySelectorAll("[data-error]")) {
    const said = fields[place.dataset.error];
    place.textContent = said ?? "";
    place.hidden = !said;
    form.elements[place.dataset.error].setAttribute("aria-invalid", said ? "true" : "false");
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
}

form?.elements.payees.addEventListener("input", () => {
  if (form.elements.payees.value.trim()) form.elements.who.value = "these";
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const { ok, told } = await post("/mandates", Object.fromEntries(new FormData(form))).catch(() => ({ ok: false, told: {} }));
  button.disabled = false;
  for (const each of document.querySelectorAll("[data-outcome]")) each.hidden = true;
  wrong(told.fields ?? {});
  if (ok) location.assign(`/confirm/${told.confirmation_id}`);
  else if (!told.fields) failed(told);
});
