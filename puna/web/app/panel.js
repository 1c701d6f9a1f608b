/** Edits a chat's settings, saves them as presets and loads presets. */
import { keepPreset, presets } from "./presets.js";
import { OPTIONS, THINK, wrongFormat } from "./settings.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

/** @param {{settings: import("./settings.js").Settings, set: (settings: import("./settings.js").Settings) => void}} shown */
export function Settings({ settings, set }) {
  const put = (name) => (event) => set({ ...settings, [name]: event.target.value });
  const wrong = settings.format?.trim() && wrongFormat(settings.format);
  const [open, setOpen] = useState(false);
  const panel = useRef(null);
  useEffect(() => {
    const elsewhere = ({ target }) => { if (!panel.current.contains(target)) panel.current.open = false; };
    addEventListener("pointerdown", elsewhere);
    return () => removeEventListener("pointerdown", elsewhere);
  }, []);
  return html`<details class="settings" ref=${panel} onKeyDown=${close} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>${say("settings")}</summary>${open && html`<div>
    <${Presets} settings=${settings} set=${set} />
    <label>${say("system")}<textarea rows="3" value=${settings.system ?? ""} onInput=${put("system")}></textarea></label>
    <label>${say("think")}<select value=${settings.think ?? ""} onChange=${put("think")}>
      ${["", ...THINK].map((one) => html`<option value=${one} selected=${one === (settings.think ?? "")}>${one || say("asIs")}</option>`)}</select></label>
    <label>${say("keepAlive")}<input placeholder="5m, 0, -1" value=${settings.keep_alive ?? ""} onInput=${put("keep_alive")} /></label>
    <label>${say("format")}<textarea rows="3" class="code" spellcheck=${false} placeholder='{"type": "object"}' value=${settings.format ?? ""}
      aria-invalid=${Boolean(wrong)} onInput=${put("format")}></textarea></label>
    ${wrong && html`<p class="error" role="alert">${wrong}</p>`}
    <label>${say("tools")}<textarea rows="3" class="code" spellcheck=${false} placeholder="[]" value=${settings.tools ?? ""} onInput=${put("tools")}></textarea></label>
    <fieldset class="options"><legend>${say("options")}</legend>
      ${Object.entries(OPTIONS).map(([name, kind]) => html`<${Option} name=${name} kind=${kind} value=${settings.options?.[name] ?? ""}
        put=${(event) => set({ ...settings, options: { ...settings.options, [name]: event.target.value } })} />`)}
    </fieldset></div>`}</details>`;
}

/** Esc closes the settings without stopping an answer. */
function close(event) {
  const panel = event.currentTarget;
  if (event.key !== "Escape" || !panel.open) return;
  event.stopPropagation();
  panel.open = false;
  panel.firstElementChild.focus();
}

function Option({ name, kind, value, put }) {
  if (kind === "lines") return html`<label>${name}<textarea rows="2" placeholder=${say("oneALine")} value=${value} onInput=${put}></textarea></label>`;
  if (kind === "boolean") {
    return html`<label>${name}<select value=${value} onChange=${put}>
      ${["", "true", "false"].map((one) => html`<option value=${one} selected=${one === value}>${one || say("asIs")}</option>`)}</select></label>`;
  }
  const isNumber = kind === "number" || kind === "integer";
  return html`<label>${name}<input type=${isNumber ? "number" : "text"} step=${kind === "integer" ? 1 : "any"} value=${value} onInput=${put} /></label>`;
}

function Presets({ settings, set }) {
  const [chosen, setChosen] = useState("");
  const names = Object.keys(presets());
  function choose(event) {
    setChosen(event.target.value);
    set(structuredClone(presets()[event.target.value] ?? {}));
  }
  function save() {
    const name = prompt(say("presetName"), chosen)?.trim();
    if (!name) return;
    keepPreset(name, settings);
    setChosen(name);
  }
  function remove() {
    keepPreset(chosen, undefined);
    setChosen("");
  }
  return html`<div class="presets">
    <label>${say("preset")}<select value=${chosen} onChange=${choose}>
      ${["", ...names].map((one) => html`<option value=${one} selected=${one === chosen}>${one || say("asIs")}</option>`)}</select></label>
    <button type="button" class="quiet" onClick=${save}>${say("savePreset")}</button>
    <button type="button" class="quiet" disabled=${!chosen} onClick=${remove}>${say("removePreset")}</button></div>`;
}
