/** Pulls models by name, several at once, with speed, time left, cancel and resume. */
import { cancel, dismiss, pull, pulls } from "./pulls.js";
import { size, time } from "./quantities.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

// Suggestions for a new user.
const FIRST = { "smollm2:135m": "tiny", "qwen3:0.6b": "thinks", "gemma3:4b": "sees" };

export function Pulls({ done, changed, none }) {
  const [name, setName] = useState("");
  function begin(event) {
    event.preventDefault();
    pull(name.trim(), changed, done);
    setName("");
  }
  return html`<form class="pull" onSubmit=${begin}>
      <input aria-label=${say("pullName")} placeholder=${say("pullName")} value=${name} onInput=${(event) => setName(event.target.value)} />
      <button disabled=${!name.trim()}>${say("pull")}</button>
    </form>
    ${none && html`<p class="first">${say("none")} ${say("beginWith")} ${Object.entries(FIRST).map(([one, what]) => html`
      <button class="suggested" onClick=${() => pull(one, changed, done)}>${one} <small>${say(what)}</small></button>`)}</p>`}
    <ul class="pulls" aria-label=${say("pulls")}>${pulls().map((one) => html`<${Pull} key=${one.name} state=${one} done=${done} changed=${changed} />`)}</ul>`;
}

function Pull({ state: { name, status, completed, total, rate, control, error }, done, changed }) {
  const left = control && rate > 0 && `${size(rate)}/s · ${time((total - completed) / rate)} ${say("left")}`;
  return html`<li>
    <div><strong>${name}</strong>
      ${control
        ? html`<button class="quiet" aria-label=${`${say("cancel")}: ${name}`} onClick=${() => cancel(name)}>${say("cancel")}</button>`
        : html`<button class="quiet" aria-label=${`${say("resume")}: ${name}`} onClick=${() => pull(name, changed, done)}>${say("resume")}</button>
          <button class="quiet" aria-label=${`${say("remove")}: ${name}`} onClick=${() => { dismiss(name); changed(); }}>✕</button>`}</div>
    <progress aria-label=${name} max=${total || 1} value=${completed}></progress>
    <small>${[control ? status : say("stopped"), total > 0 && `${size(completed)} / ${size(total)}`, left].filter(Boolean).join(" · ")}</small>
    ${error && html`<p class="error" role="alert">${error}</p>`}
  </li>`;
}
