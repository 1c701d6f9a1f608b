/** The stored and loaded models: load, unload, copy, delete, show. */
import { ask, errorText } from "./api.js";
import { Create } from "./create.js";
import { Details } from "./details.js";
import { Pulls } from "./pull.js";
import { size, time } from "./quantities.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

const SEEN_EVERY_MS = 2000;

export function Models({ models, none, refresh, changed }) {
  const [loaded, setLoaded] = useState({});
  const [capabilities, setCapabilities] = useState({});
  const [error, setError] = useState("");
  const [lost, setLost] = useState("");
  const [busy, setBusy] = useState("");
  const seen = async () => setLoaded(Object.fromEntries((await ask("/api/ps")).models.map((one) => [one.name, one])));

  useEffect(() => {
    const look = () => seen().then(() => setLost(""), (failure) => {
      setLost(errorText(failure));
      // A server that refuses would have its key asked for each time.
      if (!(failure instanceof TypeError)) clearInterval(looking);
    });
    const looking = setInterval(look, SEEN_EVERY_MS);
    look();
    return () => clearInterval(looking);
  }, []);
  useEffect(() => {
    models.forEach(({ name }) => ask("/api/show", { model: name }).then(
      ({ capabilities }) => setCapabilities((known) => ({ ...known, [name]: capabilities ?? [] })), () => {}));
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
    <${Pulls} done=${refresh} changed=${changed} none=${none} />
    <${Create} done=${refresh} />
    ${(error || lost) && html`<p class="error" role="alert">${error || lost}</p>`}
    <ul>${models.map(({ name, size: bytes, details }) => html`<li key=${name} aria-busy=${busy === name}>
      <div><strong>${name}</strong>${loaded[name] && html`<span class="loaded">${memory(loaded[name])}</span>`}
        <small>${[size(bytes), details?.family, details?.parameter_size, ...(capabilities[name] ?? [])].filter(Boolean).join(" · ")}</small></div>
      <div class="acts">
        ${loaded[name]
          ? html`<button class="quiet" disabled=${busy} onClick=${() => load(name, false)}>${say("unload")}</button>`
          : html`<button class="quiet" disabled=${busy} onClick=${() => load(name, true)}>${say("load")}</button>`}
        <button class="quiet" disabled=${busy} onClick=${() => copy(name)}>${say("copy")}</button>
        <button class="quiet" disabled=${busy} onClick=${() => remove(name)}>${say("remove")}</button>
      </div><${Details} name=${name} /></li>`)}</ul>
  </main>`;
}

/** A loaded model's memory and remaining time. One that stays for ever expires in centuries. */
function memory({ size: all, size_vram: device, expires_at: until }) {
  const seconds = (Date.parse(until) - Date.now()) / 1000;
  const left = seconds > 365 * 86400 ? say("stays") : `${say("unloadsIn")} ${time(seconds)}`;
  return [say("loaded"), size(all), device > 0 && `${size(device)} GPU`, left].filter(Boolean).join(" · ");
}
