/** An answer's tool calls: each tool's name, its arguments and its result. */
import { unique } from "./storage.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

/** @typedef {{function: {name: string, arguments: Record<string, unknown>}}} Call */

/** The user may act as the tools: their text is sent as the results.
 * @param {{calls: Call[], reply?: (results: import("./storage.js").Message[]) => void}} shown */
export function Calls({ calls, reply }) {
  const [results, setResults] = useState([]);
  function send(event) {
    event.preventDefault();
    reply(calls.map(({ function: { name } }, at) => ({ id: unique(), role: "tool", tool_name: name, content: results[at] ?? "" })));
  }
  const write = (at) => (event) => setResults(Object.assign([...results], { [at]: event.target.value }));
  return html`<form onSubmit=${send}><ul class="calls" aria-label=${say("calls")}>${calls.map(({ function: { name, arguments: parameters } }, at) => html`<li>
      <code><strong>${name}</strong>(${Object.entries(parameters ?? {}).map(([key, value], one) => html`${one > 0 && ", "}<span class="argument">${key}</span>: ${JSON.stringify(value)}`)})</code>
      ${reply && html`<textarea rows="1" class="code" aria-label=${`${say("result")} ${name}`} placeholder=${say("result") + " " + name} value=${results[at] ?? ""} onInput=${write(at)}></textarea>`}
    </li>`)}</ul>${reply && html`<button>${say("sendResults")}</button>`}</form>`;
}
