// "Check here": the page's button, and what it says. The key that was used first is remembered; another one later is said aloud.
import { check, parseKey } from "./proof.js";

const place = document.getElementById("check");
if (place !== null) {
  const proof = JSON.parse(place.dataset.proof);
  const words = JSON.parse(place.dataset.words);
  const key = place.querySelector("input");
  const button = place.querySelector("button");
  const steps = place.querySelector(".steps");
  const say = (text, tone) => {
    const line = document.createElement("li");
    line.className = tone;
    line.textContent = text;
    steps.append(line);
  };
  const pin = async (vkey) => {
    const name = `tellergate/log-key/${(await parseKey(vkey)).name}`;
    const before = localStorage.getItem(name);
    if (before === null) { localStorage.setItem(name, vkey); return "first"; }
    return before === vkey ? "same" : "other";
  };
  button.hidden = false;
  place.querySelector(".without").hidden = true;
  button.addEventListener("click", async () => {
    steps.replaceChildren();
    button.disabled = true;
    const vkey = key.value.trim();
    const { steps: done, holds } = await check(proof, vkey);
    for (const [name, good] of done) say(words[`${good ? "good" : "bad"}.${name}`], good ? "good" : "bad");
    say(words[holds ? "holds" : "fails"], holds ? "good" : "bad");
    if (holds) {
      const known = await pin(vkey);
      say(words[`pin.${known}`], known === "other" ? "bad" : "plain");
    }
    button.disabled = false;
    button.focus();
  });
}
