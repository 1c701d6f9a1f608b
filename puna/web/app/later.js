/** Views that are loaded once the page can be used, or when they are looked at before. */
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

/** The view that `load` finds; until then it is empty, or says that the server is gone.
 * @param {() => Promise<Function>} load */
export function later(load) {
  let View;
  const loaded = () => load().then((found) => { View = found; });
  addEventListener("load", () => loaded().catch(() => {}));
  return function Later(shown) {
    const [, draw] = useState(0);
    const [error, setError] = useState("");
    useEffect(() => { if (!View) loaded().then(() => draw(1), () => setError(say("away"))); }, []);
    return View ? html`<${View} ...${shown} />` : error && html`<p class="error" role="alert">${error}</p>`;
  };
}
