// What the gateway's own tools did, and the files around them: citations, passages, code with what came of it, attachments, downloads.
// A document's text, a file's name and what a program printed are other people's: they are shown as text, and said to be theirs.
"use strict";

const TOOLS = ["file_search", "code_interpreter"];
const WITH_PASSAGES = `include%5B%5D=${encodeURIComponent("step_details.tool_calls[*].file_search.results[*].content")}`;
const MARK = /^【(\d+):(\d+)†source】$/u;
const BY_CALL = 100; // how many numbers of marks each call of a turn has
const LABEL = /!?\[([^[\]\n]{1,200})\]\($/u;
const LOOKS_MOST = 120;
const names = new Map(); // of files, by id

// -- words with their sources -------------------------------------------------------------------------------------------------------

// The nodes of a text. Places of annotations count code points of the whole text, of which `from` came before this portion.
function sourced(known, message, value, annotations, from) {
  const letters = [...value];
  const nodes = [];
  let at = 0;
  for (const each of [...annotations].sort((a, b) => a.start_index - b.start_index)) {
    const [start, end] = [each.start_index - from, each.end_index - from];
    if (!(start >= at && end <= letters.length && start < end)) continue;
    const before = letters.slice(at, start).join("");
    at = end;
    if (each.type === "file_citation") nodes.push(visible(before), citation(known, message, each));
    else if (each.type === "file_path") {
      const label = letters[end] === ")" ? LABEL.exec(before) : null;
      if (label) at += 1;
      nodes.push(visible(label ? before.slice(0, label.index) : before), downloadButton(each.file_path.file_id, label?.[1] ?? each.text.split("/").pop()));
    } else nodes.push(visible(before + each.text));
  }
  nodes.push(visible(letters.slice(at).join("")));
  return nodes;
}

// A mark becomes a small number: the same for the same place.
function citation(known, message, { text, file_citation: { file_id: file } }) {
  if (!known.marks.includes(text)) known.marks.push(text);
  const number = known.marks.indexOf(text) + 1;
  const button = el("button", { type: "button", className: "cite", textContent: String(number), ariaLabel: `Source ${number}` });
  button.addEventListener("click", () => openPassage(button, message, text, file).catch(problem));
  return button;
}

// -- the passage beside the answer --------------------------------------------------------------------------------------------------

let openedBy = null;

async function openPassage(button, message, mark, file) {
  const { found, isExact } = await passageOf(message, mark, file);
  openedBy?.setAttribute("aria-expanded", "false");
  openedBy = button;
  button.setAttribute("aria-expanded", "true");
  $("passage-title").textContent = `${button.ariaLabel}: ${visible(found?.file_name ?? file)}`;
  const score = found ? `score ${found.score.toFixed(2)}` : "";
  $("passage-about").textContent = [score, isExact ? "" : "the passage of this file that fitted best", file].filter(Boolean).join(" · ");
  $("passage-text").textContent = visible(found?.content?.[0]?.text ?? "The passage is not there any more.");
  $("passage").hidden = false;
  $("passage-text").scrollTop = 0;
  $("passage").focus({ preventScroll: true });
}

function closePassage() {
  if ($("passage").hidden) return;
  $("passage").hidden = true;
  openedBy?.setAttribute("aria-expanded", "false");
  if (openedBy?.isConnected) openedBy.focus();
  openedBy = null;
}

// A mark says of which answer of the model the call was, which of its calls, and which result.
async function passageOf({ thread_id: threadId, run_id: runId }, mark, file) {
  const { data } = await answer("GET", `${at("threads", threadId, "runs", runId, "steps")}?order=asc&limit=100&${WITH_PASSAGES}`);
  const turns = data.filter(({ type }) => type === "tool_calls").map(({ step_details: { tool_calls: calls } }) => calls);
  const [, turn, number] = MARK.exec(mark) ?? [];
  const ours = (turns[turn - 1] ?? []).filter((call) => "tellergate" in call);
  const exact = ours[Math.floor(number / BY_CALL)]?.file_search?.results?.[number % BY_CALL];
  if (exact?.file_id === file) return { found: exact, isExact: true };
  const others = turns.flat().flatMap((call) => call.file_search?.results ?? []);
  return { found: others.filter((each) => each.file_id === file).sort((a, b) => b.score - a.score)[0], isExact: false };
}

$("close-passage").addEventListener("click", closePassage);
$("passage").addEventListener("keydown", ({ key }) => {
  if (key === "Escape") closePassage();
});

// -- calls of tools -----------------------------------------------------------------------------------------------------------------

function mergeTool(call, { code_interpreter: code, file_search: search }) {
  if (search && call.file_search) Object.assign(call.file_search, search);
  if (!code || !call.code_interpreter) return;
  const kept = call.code_interpreter;
  kept.input = (kept.input ?? "") + (code.input ?? "");
  for (const { index, ...output } of code.outputs ?? []) {
    kept.outputs ??= [];
    const before = kept.outputs[index];
    kept.outputs[index] = before?.type === "logs" && output.type === "logs" ? { type: "logs", logs: before.logs + output.logs } : output;
  }
}

function toolParts(call, step, index) {
  return call.type === "code_interpreter" ? [codeFold(call, step, index)] : [foundPart(call.file_search?.results)];
}

function foundPart(results) {
  if (!results) return null;
  const lines = results.map(({ file_id: id, file_name: name, score }) => {
    names.set(id, name);
    return el("li", {}, visible(name), el("small", { textContent: ` score ${score.toFixed(2)}` }));
  });
  return el("div", { className: "part" }, el("span", { textContent: lines.length ? "Found in" : "Found nothing" }), lines.length ? el("ul", { className: "found" }, ...lines) : null);
}

// Open while it is written and runs, and folded once; after that it is as whoever reads leaves it.
function codeFold(call, step, index) {
  const folds = ((seen.folds ??= new Map()).get(step.id) ?? seen.folds.set(step.id, []).get(step.id));
  const fold = (folds[index] ??= newFold());
  const { input = "", outputs = [] } = call.code_interpreter ?? {};
  fold.code.textContent = visible(input) || " ";
  const logs = outputs.filter((each) => each?.type === "logs").map((each) => each.logs).join("");
  fold.logs.hidden = !logs;
  fold.logs.lastChild.textContent = visible(logs);
  fold.images = outputs.filter((each) => each?.type === "image").map(({ image }) => image.file_id);
  const many = fold.images.length ? `, ${fold.images.length} picture${fold.images.length > 1 ? "s" : ""}` : "";
  fold.title.textContent = `Code${logs ? " and what it printed" : ""}${many}`;
  if ((call.tellergate || step.status !== "in_progress") && !fold.isEnded) {
    fold.isEnded = true;
    fold.item.open = false;
  }
  return fold.item;
}

function newFold() {
  const title = el("summary");
  const code = el("pre", { className: "program", tabIndex: 0, ariaLabel: "Code" });
  const logs = part("What the program printed: its own words, and those of what it read", "");
  const pictures = el("div", { className: "pictures" });
  const fold = { title, code, logs, images: [], isEnded: false, item: el("details", { className: "fold", open: true }, title, code, logs, pictures) };
  fold.item.addEventListener("toggle", () => {
    if (!fold.item.open || pictures.childElementCount) return;
    for (const id of fold.images) picture(pictures, id).catch(problem);
  });
  return fold;
}

// -- downloads ----------------------------------------------------------------------------------------------------------------------

function downloadButton(id, label) {
  const name = visible(label);
  const button = el("button", { type: "button", className: "download", textContent: name, ariaLabel: `Download ${name}` });
  button.addEventListener("click", async () => {
    button.disabled = true;
    await download(id).catch(problem);
    button.disabled = false;
  });
  return button;
}

// To the disk, as bytes of no kind: it is never opened here, and the page stays where it is.
async function download(id) {
  const { filename } = await answer("GET", at("files", id));
  const content = await (await ask("GET", `${at("files", id)}/content`)).arrayBuffer();
  const address = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  el("a", { href: address, download: visible(filename) }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// -- files that go along with a message ---------------------------------------------------------------------------------------------

const USES = {
  look: ["to look at", []],
  search: ["to look things up", ["file_search"]],
  code: ["for code", ["code_interpreter"]],
  both: ["for both", ["file_search", "code_interpreter"]],
};
const IMAGES = /^image\/(png|jpeg|gif|webp)$/;
const TABLES = /\.(csv|tsv|json|xlsx?|parquet)$/i;
let chosen = [];

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / (1 << 20)).toFixed(1)} MB`);

// Sent to the gateway at once, so that what is wrong with it is said beside it.
function choose(file) {
  const isImage = IMAGES.test(file.type);
  const use = el("select", { ariaLabel: `What ${file.name} is for` });
  for (const each of isImage ? ["look", "code"] : ["search", "code", "both"]) use.append(el("option", { value: each, textContent: USES[each][0] }));
  if (!isImage && TABLES.test(file.name)) use.value = "code";
  const doing = el("small", { role: "status" });
  const remove = el("button", { type: "button", className: "second", textContent: "Remove", ariaLabel: `Remove ${file.name}` });
  const item = el("li", {}, el("span", { textContent: visible(file.name) }), el("small", { textContent: size(file.size) }), doing, use, remove);
  const one = { file, use, item, id: null, error: null };
  remove.addEventListener("click", () => {
    chosen = chosen.filter((each) => each !== one);
    item.remove();
    one.sent.then(() => (one.id ? ask("DELETE", at("files", one.id)) : null)).catch(problem);
  });
  one.sent = send(one, isImage ? "vision" : "assistants", doing);
  chosen.push(one);
  $("attached").append(item);
}

async function send(one, purpose, doing) {
  one.item.classList.add("sending");
  doing.textContent = "sending";
  try {
    one.id = await uploaded(one.file, purpose);
    doing.textContent = "kept";
  } catch (error) {
    one.error = error;
    doing.textContent = error instanceof Refused ? `${error.status} ${error.code}: ${error.message}` : `not sent: ${error.message}`;
    one.item.classList.add("bad");
  }
  one.item.classList.remove("sending");
}

async function uploaded(file, purpose, token = tokens.customer) {
  const form = new FormData();
  form.append("purpose", purpose);
  form.append("file", file);
  const { id, filename } = await answer("POST", "/files", form, token);
  names.set(id, filename);
  return id;
}

// What was chosen, once all of it is kept.
async function attached() {
  await Promise.all(chosen.map(({ sent }) => sent));
  const wrong = chosen.find(({ error }) => error);
  if (wrong) throw new Error(`${wrong.file.name} was not kept: remove it, or choose another`);
  const images = chosen.filter(({ use }) => use.value === "look").map(({ id }) => id);
  const attachments = chosen
    .filter(({ use }) => use.value !== "look")
    .map(({ id, use }) => ({ file_id: id, tools: USES[use.value][1].map((type) => ({ type })) }));
  return { images, attachments };
}

function forgetAttached() {
  chosen = [];
  $("attached").replaceChildren();
}

$("files").addEventListener("change", () => {
  const files = [...$("files").files];
  $("files").value = "";
  if (!lacks()) files.forEach(choose);
});

function showAttachments(known, { attachments }) {
  known.files ??= el("ul", { className: "attachments" });
  known.files.replaceChildren(
    ...attachments.map(({ file_id: id, tools = [] }) => {
      const uses = tools.map(({ type }) => USES[type === "file_search" ? "search" : "code"][0]).join(", ");
      const line = el("li", {}, visible(names.get(id) ?? id), el("small", { textContent: ` ${uses}` }), el("small", { className: "read", role: "status" }));
      line.dataset.file = id;
      return line;
    }),
  );
  known.item.append(known.files);
}

// Until each file is read, or is found not to be readable: the run waits for it too.
async function followIndexing(message) {
  const waiting = new Set((message.attachments ?? []).filter(({ tools }) => tools?.some(({ type }) => type === "file_search")).map((each) => each.file_id));
  if (!waiting.size) return;
  const [store] = (await answer("GET", at("threads", message.thread_id))).tool_resources?.file_search?.vector_store_ids ?? [];
  for (let look = 0; store && waiting.size && look < LOOKS_MOST && message.thread_id === thread; look += 1) {
    for (const id of waiting) {
      const told = await answer("GET", at("vector_stores", store, "files", id));
      const line = [...(seen.messages.get(message.id)?.files?.children ?? [])].find((each) => each.dataset.file === id)?.querySelector(".read");
      if (told.status !== "in_progress") waiting.delete(id);
      if (!line) continue;
      line.textContent = told.status === "in_progress" ? " being read" : told.status === "completed" ? " read" : ` not readable: ${told.last_error?.message ?? told.status}`;
      line.classList.toggle("bad", told.status === "failed");
    }
    if (waiting.size) await new Promise((resume) => setTimeout(resume, LOOK_AGAIN_MS));
  }
}

// -- tools of a new assistant -------------------------------------------------------------------------------------------------------

// What this gateway does not serve, the answer says by its place among the tools: it is left out, and cannot be chosen any more.
async function withTools(asked, functions) {
  const documents = $("use-file_search").checked ? [...$("documents").files] : [];
  const ids = [];
  for (const file of documents) ids.push(await uploaded(file, "assistants", tokens.service));
  for (;;) {
    const tools = [...functions, ...TOOLS.filter((name) => $(`use-${name}`).checked).map((type) => ({ type }))];
    const searches = tools.some(({ type }) => type === "file_search");
    const resources = ids.length && searches ? { tool_resources: { file_search: { vector_stores: [{ file_ids: ids }] } } } : {};
    try {
      return await answer("POST", "/assistants", { ...asked, tools, ...resources }, tokens.service);
    } catch (error) {
      const place = error instanceof Refused && error.code === "unsupported" ? /^tools\[(\d+)\]$/.exec(error.param ?? "") : null;
      const type = place && tools[place[1]]?.type;
      if (!TOOLS.includes(type)) throw error;
      $(`use-${type}`).checked = false;
      $(`use-${type}`).disabled = true;
      $("tools-hint").textContent = `Not served by this gateway: ${TOOLS.filter((name) => $(`use-${name}`).disabled).join(", ")}. The assistant was made without.`;
    }
  }
}
