/** What is shown until an answer's first token. A large model may be loaded first, which takes as long as its file is large. */
import { ask } from "./api.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

const LOOKED_EVERY_MS = 1000;

/** @param {{model: string}} shown */
export function Waiting({ model }) {
  const [loading, setLoading] = useState(false);
  useEffect(() => {
    const looking = setInterval(async () => {
      const { models } = await ask("/api/ps").catch(() => ({ models: [] }));
      const loaded = models.some(({ name }) => name === model);
      setLoading(!loaded);
      if (loaded) clearInterval(looking);
    }, LOOKED_EVERY_MS);
    return () => clearInterval(looking);
  }, [model]);
  return html`<span class="waiting" aria-hidden="true"></span>${loading && html` <small>${say("loadingModel")}</small>`}`;
}
