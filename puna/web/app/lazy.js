/** Views that are loaded after the page is usable, or when first opened. */
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

/** The view that `load` imports; until then it is empty, or says that the server is gone.
 * @param {() => Promise<Function>} load */
export function lazy(load) {
  let View;
  const loaded = () => load().then((found) => { View = found; });
  addEventListener("load", () => loaded().catch(() => {}));
  return function Lazy(shown) {
    const [there, setThere] = useState(Boolean(View));
    const [error, setError] = useState("");
    useEffect(() => { if (!there) loaded().then(() => setThere(true), () => setError(say("away"))); }, []);
    return there ? html`<${View} ...${shown} />` : error && html`<p class="error" role="alert">${error}</p>`;
  };
}
