// Try an assistant: its conversation, its runs and their steps. `api.js` asks, `tools.js` shows what the gateway's own tools did.
"use strict";

const ENDED = new Set(["completed", "failed", "incomplete", "cancelled", "expired"]);
const LOOK_AGAIN_MS = 1000;
const PICTURE_PX = 720;

// What is shown of the conversation, by the API's ids; `run` is the last one as last seen.
let thread = null;
let run = null;
let busy = false;
const nothing = () => ({ messages: new Map(), steps: new Map(), confirmations: new Map(), form: null, ended: null, events: [] });
let seen = nothing();

// -- the run's events ---------------------------------------------------------------------------------------------------------------

// A stream of a run, to its end. Where it breaks off the run may go on: then it is looked at until it rests.
async function follow(response) {
  try {
    for await (const { event, data } of events(response)) {
      if (event === "done") return;
      take(event, JSON.parse(data));
    }
  } catch (error) {
    problem(error);
  }
  await look();
}

async function look() {
  while (run) {
    const where = ["threads", run.thread_id, "runs", run.id];
    take("thread.run", await answer("GET", at(...where)));
    for (const step of (await answer("GET", `${at(...where, "steps")}?order=asc&limit=100`)).data) take("thread.run.step", step);
    const said = await answer("GET", `${at("threads", run.thread_id, "messages")}?order=asc&limit=100&run_id=${encodeURIComponent(run.id)}`);
    for (const message of said.data) take("thread.message", message);
    if (ENDED.has(run.status) || run.status === "requires_action") return;
    await new Promise((resume) => setTimeout(resume, LOOK_AGAIN_MS));
  }
}

function take(event, object) {
  seen.events.push(`${event} ${JSON.stringify(object)}`);
  if (event === "error") throw new Refused("", object.error ?? object);
  if (event === "thread.run.step.delta") mergeStep(object);
  else if (event.startsWith("thread.run.step")) showStep(object);
  else if (event === "thread.message.delta") mergeMessage(object);
  else if (event.startsWith("thread.message")) showMessage(object);
  else if (event.startsWith("thread.run")) showRun(object);
}

// -- messages -----------------------------------------------------------------------------------------------------------------------

function messageItem(id, role) {
  if (!seen.messages.has(id)) {
    const text = el("span", { dir: "auto", className: "said" });
    const item = el("div", { className: `message ${role}` }, el("span", { className: "unseen", textContent: role === "user" ? "You: " : "Assistant: " }), text);
    seen.messages.set(id, { item, text, marks: [], length: 0 });
  }
  return seen.messages.get(id);
}

const partText = ({ type, text, refusal, image_url: image }) => text?.value ?? refusal ?? `[${type}: ${image?.url ?? ""}]`;

function showMessage(message) {
  const known = messageItem(message.id, message.role);
  const { item, text } = known;
  item.setAttribute("aria-busy", String(message.status === "in_progress"));
  const parts = message.content.filter(({ type }) => type !== "image_file");
  if (parts.length) {
    known.marks = [];
    known.length = 0;
    text.replaceChildren();
    parts.forEach((each, number) => {
      if (number) text.append("\n");
      text.append(...sourced(known, message, partText(each), each.text?.annotations ?? [], 0));
    });
  }
  item.querySelector("small.cut")?.remove();
  const images = message.content.filter(({ type }) => type === "image_file").map(({ image_file: { file_id: id } }) => id);
  if (images.length && !item.querySelector("canvas")) images.forEach((id) => picture(item, id).catch(problem));
  if (message.attachments?.length) showAttachments(known, message);
  if (message.status === "incomplete") item.append(el("small", { className: "cut", textContent: `incomplete: ${message.incomplete_details?.reason ?? ""}` }));
  shown(item);
}

// Drawn, not linked: nothing of a file is ever a document or a source of this page.
async function picture(item, id) {
  const drawn = el("canvas", { width: 1, height: 1, role: "img", ariaLabel: id });
  item.append(drawn);
  const bitmap = await createImageBitmap(await (await ask("GET", `${at("files", id)}/content`)).blob());
  const scale = Math.min(1, PICTURE_PX / Math.max(bitmap.width, bitmap.height));
  drawn.width = Math.max(1, bitmap.width * scale);
  drawn.height = Math.max(1, bitmap.height * scale);
  drawn.getContext("2d").drawImage(bitmap, 0, 0, drawn.width, drawn.height);
  shown(item);
}

function mergeMessage({ id, delta }) {
  const known = messageItem(id, "assistant");
  known.item.setAttribute("aria-busy", "true");
  const of = { id, thread_id: run?.thread_id, run_id: run?.id };
  for (const piece of delta.content ?? []) {
    if (piece.type === "image_file") continue; // drawn once the message is whole
    const value = piece.text?.value ?? piece.refusal ?? "";
    known.text.append(...sourced(known, of, value, piece.text?.annotations ?? [], known.length));
    known.length += [...value].length;
  }
  shown(known.item);
}

// -- steps: each call with its decision ---------------------------------------------------------------------------------------------

function showStep(step) {
  if (step.type !== "tool_calls") return;
  const known = seen.steps.get(step.id) ?? { item: el("div") };
  seen.steps.set(step.id, Object.assign(known, { step }));
  renderStep(known);
}

function mergeStep({ id, delta }) {
  const known = seen.steps.get(id);
  const calls = known?.step.step_details.tool_calls;
  if (!calls) return;
  for (const piece of delta.step_details?.tool_calls ?? []) {
    const call = (calls[piece.index ?? 0] ??= newCall(piece.type ?? "function"));
    if (piece.id) call.id = piece.id;
    if ("tellergate" in piece) call.tellergate = piece.tellergate;
    mergeTool(call, piece);
    if (!piece.function || !call.function) continue;
    if (piece.function.name) call.function.name = piece.function.name;
    call.function.arguments += piece.function.arguments ?? "";
    if (piece.function.output != null) call.function.output = piece.function.output;
  }
  renderStep(known);
}

const DECISIONS = { done: "done", denied: "denied", held: "held for the customer", in_doubt: "in doubt", unavailable: "unavailable: nothing happened", unknown: "outcome unknown" };

const awaited = () => run?.required_action?.submit_tool_outputs?.tool_calls ?? [];

// The decision on a call: its class, and the words for it.
function decision(call, step) {
  const told = call.tellergate;
  if (told) return [told.status, [DECISIONS[told.status] ?? told.status, told.code].filter(Boolean).join(" · ")];
  if (call.type === "function" && !("tellergate" in call)) {
    if (call.function.output != null) return ["", "executed by your app"];
    if (awaited().some((each) => each.id === call.id)) return ["held", "your app is to execute it"];
  }
  return ["", step.status === "in_progress" ? "not decided yet" : step.status];
}

function renderStep({ item, step }) {
  item.replaceChildren(...step.step_details.tool_calls.filter(Boolean).map((call, index) => callCard(call, step, index)));
  if (item.childElementCount) shown(item);
}

const newCall = (type) => ({ id: "", type, ...(type === "function" ? { function: { name: "", arguments: "", output: null } } : { [type]: {} }) });

function callCard(call, step, index) {
  const [kind, words] = decision(call, step);
  const { name, arguments: given, output } = call.function ?? { name: call.type };
  const proof = call.tellergate?.proof;
  return el(
    "article",
    { className: `card ${kind}`, ariaLabel: `Call of ${name}` },
    el("div", { className: "head" }, el("strong", { textContent: visible(name) || "…" }), el("span", { className: `mark ${kind}`, textContent: words })),
    ...(call.function ? [part("Arguments", pretty(given)), output == null ? null : part("Output", pretty(output))] : toolParts(call, step, index)),
    call.tellergate
      ? el(
          "p",
          { className: "proof" },
          el("code", { textContent: call.tellergate.call_id }),
          proof ? ` · record ${proof.index} of the trail, leaf ` : "",
          proof ? el("code", { textContent: proof.leaf_hash }) : null,
        )
      : null,
  );
}

// -- the run ------------------------------------------------------------------------------------------------------------------------

function showRun(now) {
  run = now;
  $("state").textContent = run.status;
  showIds();
  showConfirmations(run.tellergate?.confirmations ?? []);
  for (const known of seen.steps.values()) if (known.step.run_id === run.id) renderStep(known);
  if (run.status === "requires_action") showForm();
  else if (seen.form) {
    seen.form.remove();
    seen.form = null;
  }
  if (ENDED.has(run.status)) showEnd();
  settle();
}

function showIds() {
  const ids = { Thread: thread, Run: run?.id };
  $("ids").replaceChildren(...Object.entries(ids).flatMap(([name, id]) => (id ? [el("dt", { textContent: name }), el("dd", { textContent: id })] : [])));
}

function showEnd() {
  if (seen.ended === run.id) return;
  seen.ended = run.id;
  for (const { item } of seen.messages.values()) item.setAttribute("aria-busy", "false");
  if (run.last_error) problem(new Refused(run.status, run.last_error));
  const dropped = run.tellergate?.dropped;
  const words = [
    `Run ${run.status}`,
    `model ${visible(run.model)}`,
    run.incomplete_details?.reason ?? "",
    run.usage ? `${run.usage.prompt_tokens} tokens in, ${run.usage.completion_tokens} out` : "",
    dropped?.messages || dropped?.turns ? `left out of the prompt: ${dropped.messages} messages, ${dropped.turns} turns of calls` : "",
  ];
  const told = el("details", {}, el("summary", { textContent: `${seen.events.length} events` }), el("pre", { textContent: seen.events.join("\n") }));
  seen.events = [];
  shown(el("div", { className: "end" }, ...words.filter(Boolean).map((each) => el("span", { textContent: each })), told));
}

const millis = (time) => (typeof time === "number" ? time * 1000 : Date.parse(time));

// What waits for the customer's word; each goes away by itself when the run goes on.
function showConfirmations(waiting) {
  for (const [id, { item }] of seen.confirmations) {
    if (waiting.some((each) => each.id === id)) continue;
    item.remove();
    seen.confirmations.delete(id);
  }
  for (const { id, expires_at: expires, url } of waiting) {
    if (seen.confirmations.has(id)) continue;
    const left = el("span", { role: "timer" });
    const item = el("div", { className: "note warn" }, el("strong", { textContent: "The customer is to confirm. " }), confirmLink(id, url), " ", left);
    seen.confirmations.set(id, { item, left, expires: millis(expires) });
    shown(item);
  }
  countDown();
}

// The gateway's own page, not a model's text; still, nothing but the web. Without a page the id is what a bank's own app confirms by.
function confirmLink(id, url) {
  const target = url && URL.canParse(url) ? new URL(url) : null;
  if (target?.protocol !== "https:" && target?.protocol !== "http:") return el("code", { textContent: id });
  return el("a", { href: target.href, target: "_blank", rel: "noopener noreferrer", textContent: "Open the confirmation" });
}

function countDown() {
  for (const { left, expires } of seen.confirmations.values()) {
    const seconds = Math.max(0, Math.ceil((expires - Date.now()) / 1000));
    left.textContent = seconds ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left` : "The time is over.";
  }
}
setInterval(countDown, 1000);

// What the app executes: here, whoever tries the assistant types what the app would say.
function showForm() {
  if (seen.form) return;
  const form = el("form");
  for (const call of awaited()) {
    const field = el("textarea", { id: `output-${call.id}`, name: call.id, rows: 2, className: "code", spellcheck: false });
    const label = el("label", { htmlFor: field.id, textContent: `Output of ${visible(call.function.name)}` });
    form.append(el("div", { className: "field" }, label, field));
  }
  form.append(el("button", { textContent: "Submit outputs" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const outputs = [...form.querySelectorAll("textarea")].map((field) => ({ tool_call_id: field.name, output: field.value }));
    working(() => resume(outputs));
  });
  seen.form = shown(el("div", { className: "card held" }, form));
  form.querySelector("textarea")?.focus();
}

async function resume(outputs) {
  const path = at("threads", run.thread_id, "runs", run.id, "submit_tool_outputs");
  const response = await ask("POST", path, { tool_outputs: outputs, stream: true });
  seen.form?.remove();
  seen.form = null;
  await follow(response);
}

// -- what whoever tries it does -----------------------------------------------------------------------------------------------------

function settle() {
  const active = run !== null && !ENDED.has(run.status);
  $("send").disabled = busy || active;
  $("fresh").disabled = busy || active;
  $("cancel").hidden = !active;
  $("cancel").disabled = run?.status === "cancelling";
  for (const button of seen.form?.querySelectorAll("button") ?? []) button.disabled = busy;
}

async function working(act) {
  if (busy) return;
  busy = true;
  settle();
  try {
    await act();
  } catch (error) {
    problem(error);
  }
  busy = false;
  settle();
}

function lacks() {
  for (const [id, words] of [["customer", "Give the customer's token first."], ["assistant", "Choose an assistant first."]]) {
    if ($(id).value.trim()) continue;
    document.querySelector(".setup").open = true;
    $("state").textContent = words;
    $(id).focus();
    return true;
  }
  return false;
}

async function say(words) {
  const { images, attachments } = await attached();
  if (!thread) thread = (await answer("POST", "/threads", {})).id;
  const parts = images.map((id) => ({ type: "image_file", image_file: { file_id: id } }));
  const content = parts.length ? [{ type: "text", text: words }, ...parts] : words;
  const sent = { role: "user", content, ...(attachments.length ? { attachments } : {}) };
  const message = await answer("POST", at("threads", thread, "messages"), sent);
  showMessage(message);
  $("words").value = "";
  forgetAttached();
  $("state").textContent = "";
  if (matchMedia("(max-width: 56rem)").matches) document.querySelector(".setup").open = false;
  followIndexing(message).catch(problem);
  await follow(await ask("POST", at("threads", thread, "runs"), { assistant_id: $("assistant").value.trim(), stream: true }));
  if (!seen.form) $("words").focus();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("words").value.trim();
  if (words && !lacks() && !$("send").disabled) working(() => say(words));
});

$("words").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

// Beside a stream that is read, which tells the end; where none is, the answer or a look does.
$("cancel").addEventListener("click", async () => {
  $("cancel").disabled = true;
  try {
    const told = await answer("POST", at("threads", run.thread_id, "runs", run.id, "cancel"), {});
    if (busy) return;
    showRun(told);
    await working(look);
  } catch (error) {
    problem(error);
    settle();
  }
});

$("fresh").addEventListener("click", () => {
  thread = run = null;
  seen = nothing();
  closePassage();
  $("log").replaceChildren();
  $("state").textContent = "";
  showIds();
  settle();
  $("words").focus();
});

// -- tokens and assistants ----------------------------------------------------------------------------------------------------------

async function listAssistants() {
  const { data } = await answer("GET", "/assistants?limit=100", undefined, tokens.service);
  const options = data.map((each) => el("option", { value: each.id, textContent: `${each.name ?? "(no name)"} · ${each.id}` }));
  $("listed").replaceChildren(el("option", { value: "", textContent: options.length ? "Choose one" : "There is none yet" }), ...options);
  $("listed").value = data.some((each) => each.id === $("assistant").value) ? $("assistant").value : "";
  $("listed-field").hidden = $("new-assistant").hidden = false;
  if (!data.length) $("new-assistant").open = true;
  return data;
}

async function listFunctions() {
  const { data } = await answer("GET", "/functions?shape=assistants");
  const choices = data.map((each) => {
    const box = el("input", { type: "checkbox", checked: true });
    box.definition = each;
    return el("label", { title: each.function.description ?? "" }, box, el("code", { textContent: each.function.name }));
  });
  $("functions").replaceChildren(...choices);
  $("functions-hint").textContent = "Executed by the bank, for this customer.";
}

async function makeAssistant() {
  const banking = [...$("functions").querySelectorAll("input:checked")].map((box) => box.definition);
  let own;
  try {
    own = JSON.parse($("app-functions").value.trim() || "[]");
  } catch {
    $("app-functions").focus();
    throw new Error("the app functions are not JSON");
  }
  const asked = { name: $("name").value, model: $("model").value, instructions: $("instructions").value };
  const made = await withTools(asked, [...banking, ...[own].flat()]);
  $("assistant").value = made.id;
  $("new-assistant").open = false;
  await listAssistants();
}

$("make").addEventListener("submit", (event) => {
  event.preventDefault();
  makeAssistant().catch(problem);
});
$("listed").addEventListener("change", () => {
  if ($("listed").value) $("assistant").value = $("listed").value;
});

async function given(name) {
  tokens[name] = $(name).value.trim();
  if (!tokens[name]) return [];
  try {
    return await (name === "service" ? listAssistants : listFunctions)();
  } catch (error) {
    problem(error);
    return null;
  }
}
for (const name of ["customer", "service"]) $(name).addEventListener("change", () => given(name));

// `#token=...&service=...&assistant=...&model=...&tools=...`: a fragment is sent to nobody, and leaves the address at once. With both tokens and a
// model, the newest assistant is chosen, and where there is none, one is made.
async function fromAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname);
  for (const [field, name] of [["assistant", "assistant"], ["model", "model"], ["customer", "token"], ["service", "service"]]) {
    if (said.get(name)) $(field).value = said.get(name);
  }
  for (const name of TOOLS) if (said.get("tools")?.split(",").includes(name)) $(`use-${name}`).checked = true;
  const [, listed] = await Promise.all(["customer", "service"].map((name) => (said.get(name === "customer" ? "token" : name) ? given(name) : null)));
  if (!listed || !said.get("model") || !said.get("token") || $("assistant").value) return;
  if (listed.length) $("assistant").value = $("listed").value = listed[0].id;
  else await makeAssistant().catch(problem);
}
addEventListener("hashchange", fromAddress);
fromAddress();
settle();
