// Enhances pages that work without it: the viewer's own time beside UTC, and where the focus goes after a part was exchanged.
"use strict";
(() => {
  // htmx parses answers of this origin. Text becomes elements by this policy alone; no text ever becomes a script.
  if (window.trustedTypes) window.trustedTypes.createPolicy("default", { createHTML: (text) => text });

  const zone = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium", timeStyle: "medium",
  });
  const named = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const inUtc = new Date().getTimezoneOffset() === 0;

  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      time.dataset.local = "";
      const at = new Date(time.dateTime);
      if (inUtc || Number.isNaN(at.getTime())) continue;
      const local = document.createElement("span");
      local.className = "local";
      local.title = named;
      local.textContent = ` ${zone.format(at)}`;
      time.after(local);
    }
  }

  function offline() {
    const main = document.getElementById("main");
    let told = document.getElementById("offline");
    if (told === null) {
      told = document.createElement("p");
      told.id = "offline";
      told.className = "error";
      told.setAttribute("role", "alert");
      main.prepend(told);
    }
    told.textContent = document.body.dataset.offline;
  }

  addEventListener("DOMContentLoaded", () => {
    localTimes(document);
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      const { xhr, target } = event.detail;
      if (xhr.status === 401) { location.assign("/"); return; }
      if (xhr.status < 400) return;
      if (!(xhr.getResponseHeader("content-type") ?? "").startsWith("text/html")) { offline(); return; }
      event.detail.shouldSwap = true;
      event.detail.target = target.closest("main") ?? target;
      event.detail.selectOverride = "#main";
    });
    document.body.addEventListener("htmx:afterSettle", (event) => {
      document.getElementById("offline")?.remove();
      localTimes(document);
      const isLost = document.activeElement === document.body || document.activeElement === null;
      const quiet = event.detail.elt.closest?.("[data-quiet]") || event.detail.target?.closest?.("[data-quiet]");
      if (isLost && !quiet) (document.getElementById("found") ?? document.getElementById("main")).focus();
    });
    document.body.addEventListener("htmx:sendError", offline);
    document.body.addEventListener("htmx:timeout", offline);
  });
})();
