// A bundle that somebody chose or dropped is verified here, in the browser: nothing of it is sent anywhere, and once loaded it needs nobody.
import { InputUnreadable, SourceUnreadable, VERDICTS, verify } from "./verifier/verifier.mjs";

const OWN_FILE_MOST = 2 ** 16;
const place = document.getElementById("verify");
const told = document.getElementById("verdict");
const words = JSON.parse(place.dataset.words);
const [status, steps, button] = [told.querySelector("[role=status]"), told.querySelector(".steps"), place.querySelector("button")];
const input = Object.fromEntries(["bundle", "trust", "pinned"].map((name) => [name, document.getElementById(name)]));

const filled = (text, values) => text.replaceAll(/\{([a-z]+)\}/g, (_, name) => values[name]);

function say(text, tone) {
  const line = document.createElement("li");
  line.className = tone;
  line.textContent = text;
  steps.append(line);
}

function conclude(text, tone) {
  status.textContent = text;
  status.className = `lead ${tone}`;
}

/** A small file of the person's own; undefined where none was chosen. */
async function own(name) {
  const file = input[name].files[0];
  return file === undefined ? undefined : new Uint8Array(await file.slice(0, OWN_FILE_MOST).arrayBuffer());
}

function shown(report, { trust }) {
  const good = report.good && trust !== undefined;
  conclude(words[report.good ? (trust === undefined ? "consistent" : "good") : "bad"], report.good ? (good ? "good" : "waits") : "bad");
  for (const { verdict, what } of report.findings) say(filled(words.finding, { verdict: words[verdict], what }), "bad");
  for (const name of VERDICTS) {
    const said = report.verdict(name);
    say(`${words[name]}: ${{ good: words.held, finding: words.found }[said] ?? words.not_claimed}`, { good: "good", finding: "bad" }[said] ?? "plain");
  }
  if (report.facts.records !== undefined) say(filled(words.records, { count: report.facts.records }), "plain");
  for (const note of report.notes) say(note, "plain");
}

async function verifyChosen() {
  const bundle = input.bundle.files[0];
  told.hidden = false;
  steps.replaceChildren();
  if (bundle === undefined) {
    conclude(words.choose, "bad");
    input.bundle.focus();
    return;
  }
  button.disabled = true;
  conclude(words.works, "plain");
  const progress = (done, count) => conclude(filled(words.progress, { done, count }), "plain");
  try {
    const files = { trust: await own("trust"), pinned: await own("pinned") };
    shown(await verify(bundle, { ...files, told: progress }), files);
  } catch (error) {
    if (error instanceof InputUnreadable) conclude(filled(words.unusable, { name: words[`file_${error.name}`], why: error.message }), "bad");
    else conclude(error instanceof SourceUnreadable ? words.unreadable : words.failed, "bad");
  } finally {
    button.disabled = false;
    told.querySelector("h2").focus();
  }
}

/** Which of the three a dropped file is, by its name. */
function kindOf(name) {
  if (name.endsWith(".zip")) return "bundle";
  return name.endsWith(".json") ? "trust" : "pinned";
}

addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) {
    const one = new DataTransfer();
    one.items.add(file);
    input[kindOf(file.name)].files = one.files;
  }
});
button.addEventListener("click", verifyChosen);
document.querySelector(".without").hidden = true;
place.hidden = false;
