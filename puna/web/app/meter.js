/** Shows how full the context is after an answer. */
import { html } from "./view.js";
import { say } from "./words.js";

/** @param {{message?: import("./storage.js").Message}} shown */
export function ContextMeter({ message }) {
  if (!message) return null;
  const { tokens, context_length: length } = message;
  const label = `${Math.round((100 * tokens) / length)}% ${say("fill")}`;
  return html`<span class="fill" title=${`${tokens} / ${length}`}><meter aria-label=${label} max=${length} high=${length * 0.9} value=${tokens}></meter>
    <small>${label}</small></span>`;
}
