/** The attached files of a message or of a draft. */
import { html } from "./view.js";
import { say } from "./words.js";

/** @param {{files: import("./give.js").Given[], drop?: (at: number) => void}} shown */
export function Given({ files, drop }) {
  return html`<ul class="given">${files.map(({ name, kind, type, data, lacks }, at) => html`<li>
    ${kind === "vision" ? html`<img alt=${name} src=${`data:${type};base64,${data}`} />` : html`<span>${name}${lacks && html`<br /><small>${lacks}</small>`}</span>`}
    ${drop && html`<button type="button" class="quiet" aria-label=${`${say("remove")}: ${name}`} onClick=${() => drop(at)}>✕</button>`}
  </li>`)}</ul>`;
}
