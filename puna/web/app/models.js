/** The models: what is there and what is loaded; load, unload, copy, delete. */
import { ask } from "./api.js";
import { Pull } from "./pull.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

export const size = (bytes) =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(0)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

export function Models({ models, refresh }) {
  const [loaded, setLoaded] = useState([]);
  const [abilities, setAbilities] = useState({});
  const [error, setError] = useState("");
  const [busy, setBusy] = useState("");
  const seen = async () => setLoaded((await ask("/api/ps")).models.map(({ name }) => name));

  useEffect(() => { seen().catch((failure) => setError(failure.message)); }, []);
  useEffect(() => {
    models.forEach(({ name }) => ask("/api/show", { model: name }).then(
      ({ capabilities }) => setAbilities((known) => ({ ...known, [name]: capabilities ?? [] })), () => {}));
  }, [models]);

  async function act(name, doing) {
    setError("");
    setBusy(name);
    try {
      await doing();
      await Promise.all([refresh(), seen()]);
    } catch (failure) {
      setError(failure.message);
    }
    setBusy("");
  }
  const load = (name, keep) => act(name, () =>
    ask("/api/generate", keep ? { model: name, stream: false } : { model: name, keep_alive: 0, stream: false }));
  const copy = (name) => {
    const destination = prompt(say("copyTo"), `${name}-copy`);
    if (destination) act(name, () => ask("/api/copy", { source: name, destination }));
  };
  const remove = (name) =>
    confirm(`${say("sureModel")} ${name}`) && act(name, () => ask("/api/delete", { model: name }, "DELETE"));

  return html`<main class="models"><h1>${say("models")}</h1>
    <${Pull} done=${refresh} />
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${!models.length && html`<p>${say("none")}</p>`}
    <ul>${models.map((model) => html`<li key=${model.name} aria-busy=${busy === model.name}>
      <div><strong>${model.name}</strong>${loaded.includes(model.name) && html`<span class="loaded">${say("loaded")}</span>`}
        <small>${[size(model.size), model.details?.family, model.details?.parameter_size, ...(abilities[model.name] ?? [])].filter(Boolean).join(" · ")}</small></div>
      <div class="acts">
        ${loaded.includes(model.name)
          ? html`<button class="quiet" disabled=${busy} onClick=${() => load(model.name, false)}>${say("unload")}</button>`
          : html`<button class="quiet" disabled=${busy} onClick=${() => load(model.name, true)}>${say("load")}</button>`}
        <button class="quiet" disabled=${busy} onClick=${() => copy(model.name)}>${say("copy")}</button>
        <button class="quiet" disabled=${busy} onClick=${() => remove(model.name)}>${say("remove")}</button>
      </div></li>`)}</ul>
  </main>`;
}
