/** Tool calls of an answer, as calls: the tool's name and its arguments. */
import { html } from "./view.js";
import { say } from "./words.js";

/** @typedef {{function: {name: string, arguments: Record<string, unknown>}}} Call */

/** @param {{calls: Call[]}} shown */
export function Calls({ calls }) {
  return html`<ul class="calls" aria-label=${say("calls")}>${calls.map(({ function: { name, arguments: given } }) => html`<li>
    <code><strong>${name}</strong>(${Object.entries(given ?? {}).map(([key, value], at) => html`${at > 0 && ", "}<span class="argument">${key}</span>: ${JSON.stringify(value)}`)})</code>
  </li>`)}</ul>`;
}
