// What the playground is made of: its elements, and the API of this same origin. Whatever comes from there is shown as text, and never
// becomes markup or a link. The tokens live in these variables alone.
"use strict";

const $ = (id) => document.getElementById(id);
const tokens = { customer: "", service: "" };

// -- elements -----------------------------------------------------------------------------------------------------------------------

function el(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((each) => each !== null));
  return made;
}

// What scrolls: the log, or on a phone the page. It follows what comes, unless whoever reads has scrolled up.
const scroller = () => (getComputedStyle($("log")).overflowY === "visible" ? document.scrollingElement : $("log"));
let follows = true;
addEventListener(
  "scroll",
  () => {
    const page = scroller();
    follows = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  },
  { capture: true, passive: true },
);

function shown(item) {
  if (!item.isConnected) $("log").append(item);
  const page = scroller();
  if (follows) page.scrollTop = page.scrollHeight;
  return item;
}

function problem(error) {
  const code = error instanceof Refused ? `${error.status} ${error.code}`.trim() : "not answered";
  shown(el("div", { className: "note bad" }, el("strong", { textContent: code }), `: ${error.message}`));
}

// What cannot be seen, or turns the text around, is spelt out.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const visible = (text) => String(text).replace(HIDDEN, (each) => `⟨U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

// Laid out for reading only where that changes nothing: the same names in the same order, each number as it was written.
function pretty(text) {
  try {
    const value = JSON.parse(text);
    const bare = text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
    return visible(JSON.stringify(value) === bare ? JSON.stringify(value, null, 2) : text);
  } catch {
    return visible(text);
  }
}

function part(title, text) {
  return el("div", { className: "part" }, el("span", { textContent: title }), el("pre", { textContent: text === "" ? " " : text }));
}

// -- the API ------------------------------------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, said) {
    super(said.message ?? "the answer has no error that could be read");
    this.status = status;
    this.code = said.code ?? said.type ?? "";
    this.param = said.param ?? null;
  }
}

async function ask(method, path, body, token = tokens.customer) {
  const headers = { authorization: `Bearer ${token}` };
  const isForm = body instanceof FormData; // the browser itself says of one what it is
  if (body !== undefined && !isForm) headers["content-type"] = "application/json";
  const asked = { method, headers, credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" };
  const response = await fetch(`/v1${path}`, body === undefined ? asked : { ...asked, body: isForm ? body : JSON.stringify(body) });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Refused(response.status, told.error ?? {});
}

const answer = async (...asked) => (await ask(...asked)).json();
const at = (...parts) => parts.map((each) => `/${encodeURIComponent(each)}`).join("");

// Server-sent events: blocks with an `event` and a `data` line, parted by an empty one.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = { event: "message", data: [] };
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith("event:")) fields.event = line.slice(6).trim();
        if (line.startsWith("data:")) fields.data.push(line.slice(5).replace(/^ /, ""));
      }
      if (fields.data.length) yield { event: fields.event, data: fields.data.join("\n") };
    }
  }
}
