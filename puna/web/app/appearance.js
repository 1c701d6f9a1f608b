/** Theme and size of the page: the system's, until the user chooses. */
import { html, useState } from "./view.js";
import { say } from "./words.js";

const CHOICES = { theme: ["asSystem", "light", "dark"], size: ["small", "medium", "large"] };
const FIRST = { theme: "asSystem", size: "medium" };
const chosen = (name) => localStorage.getItem(name) ?? FIRST[name];

/** Sets them on the root element, where the style sheet reads them. */
export function appear() {
  for (const name of Object.keys(CHOICES)) document.documentElement.dataset[name] = chosen(name);
}

export function Appearance() {
  const [, draw] = useState(0);
  function choose(name, value) {
    localStorage.setItem(name, value);
    appear();
    draw((count) => count + 1);
  }
  return html`<details class="appearance"><summary>${say("appearance")}</summary>
    ${Object.entries(CHOICES).map(([name, values]) => html`<label>${say(name)}<select value=${chosen(name)} onChange=${(event) => choose(name, event.target.value)}>
      ${values.map((one) => html`<option value=${one} selected=${one === chosen(name)}>${say(one)}</option>`)}</select></label>`)}</details>`;
}
