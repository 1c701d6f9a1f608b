/** A model's template, parameters, system prompt and licence, requested when opened. */
import { ask } from "./api.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

const PARTS = ["system", "parameters", "template", "license"];

export function Details({ name }) {
  const [shown, setShown] = useState(null);
  const [error, setError] = useState("");
  const look = (event) => event.currentTarget.open && ask("/api/show", { model: name }).then(
    (found) => { setShown(found); setError(""); }, (failure) => setError(failure.message));
  return html`<details class="details" onToggle=${look}><summary aria-label=${`${say("details")}: ${name}`}>${say("details")}</summary>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${shown && PARTS.filter((part) => shown[part]).map((part) => html`<h2>${say(part)}</h2><pre tabIndex="0">${shown[part]}</pre>`)}
    ${shown && html`<h2>${say("more")}</h2><pre tabIndex="0">${facts(shown)}</pre>`}
  </details>`;
}

const facts = ({ details = {}, model_info: info = {} }) =>
  [...Object.entries(details), ...Object.entries(info)]
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value) && value !== "")
    .map(([name, value]) => `${name}: ${value}`).join("\n");
