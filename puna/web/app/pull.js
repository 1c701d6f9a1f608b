/** A pull, with its speed and the time it has left. What is fetched stays when it is cancelled. */
import { stream } from "./api.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

export function Pull({ done }) {
  const [name, setName] = useState("");
  const [state, setState] = useState(null);

  async function pull(event) {
    event.preventDefault();
    const control = new AbortController();
    const blobs = new Map();
    let before = null;
    setState({ control, status: "" });
    try {
      for await (const { status, digest, total, completed = 0 } of stream("/api/pull", { model: name.trim() }, control.signal)) {
        if (digest) blobs.set(digest, { total, completed });
        const sum = (key) => [...blobs.values()].reduce((all, blob) => all + (blob[key] ?? 0), 0);
        const now = { at: performance.now(), completed: sum("completed"), total: sum("total") };
        before ??= now;
        const rate = (now.completed - before.completed) / Math.max(0.001, (now.at - before.at) / 1000);
        setState({ control, status, ...now, rate });
      }
      setState(null);
      setName("");
      await done();
    } catch (error) {
      setState(error.name === "AbortError" ? null : { error: error.message });
    }
  }
  const left = state?.rate > 0 && `${(state.rate / 1e6).toFixed(1)} MB/s · ${Math.ceil((state.total - state.completed) / state.rate)} s ${say("left")}`;
  return html`<form class="pull" onSubmit=${pull}>
    <input aria-label=${say("pullName")} placeholder=${say("pullName")} value=${name} onInput=${(event) => setName(event.target.value)} />
    ${state?.control
      ? html`<button type="button" onClick=${() => state.control.abort()}>${say("cancel")}</button>`
      : html`<button disabled=${!name.trim()}>${say("pull")}</button>`}
    ${state?.control && html`<div class="progress"><progress aria-label=${say("pull")} max=${state.total || 1} value=${state.completed || 0}></progress><small>${state.status} ${left}</small></div>`}
    ${state?.error && html`<p class="error" role="alert">${state.error}</p>`}
  </form>`;
}
