/** Shows how full the context is after an answer. */
import { html } from "./view.js";
import { say } from "./words.js";

/** @param {{message?: import("./storage.js").Message}} shown */
export function ContextMeter({ message }) {
  if (!message) return null;
  const { tokens, window } = message;
  const label = `${Math.round((100 * tokens) / window)}% ${say("fill")}`;
  return html`<span class="fill" title=${`${tokens} / ${window}`}><meter aria-label=${label} max=${window} high=${window * 0.9} value=${tokens}></meter>
    <small>${label}</small></span>`;
}
