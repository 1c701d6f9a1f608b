/** Ctrl/Cmd+K: opens any room or chat by keyboard. */
import { isComposing } from "./composing.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

// A short list reads at a glance; typing finds the rest.
const MOST = 12;

/** @param {{choices: {name: string, act: () => void}[]}} shown */
export function Palette({ choices }) {
  const [open, setOpen] = useState(false);
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const box = useRef(null);
  useEffect(() => {
    function key(event) {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
      event.preventDefault();
      setWanted("");
      setAt(0);
      setOpen(true);
    }
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  useLayoutEffect(() => { if (open && !box.current.open) box.current.showModal(); }, [open]);
  if (!open) return null;

  const found = choices.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase())).slice(0, MOST);
  function choose(choice) {
    if (!choice) return;
    setOpen(false);
    choice.act();
  }
  function key(event) {
    // Esc closes this without stopping an answer.
    event.stopPropagation();
    if (isComposing(event)) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) { event.preventDefault(); setAt((at + step + found.length) % found.length); }
    if (event.key === "Enter") { event.preventDefault(); choose(found[at]); }
  }
  return html`<dialog class="palette" ref=${box} aria-label=${say("goTo")} onClose=${() => setOpen(false)} onKeyDown=${key}>
    <input type="search" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant=${found.length ? `found-${at}` : undefined}
      aria-label=${say("goTo")} placeholder=${say("goTo")} value=${wanted} onInput=${(event) => { setWanted(event.target.value); setAt(0); }} />
    <ul id="found" role="listbox" aria-label=${say("goTo")}>${found.map((choice, one) => html`
      <li id=${`found-${one}`} role="option" aria-selected=${one === at} onPointerMove=${() => setAt(one)} onClick=${() => choose(choice)}>${choice.name}</li>`)}</ul>
  </dialog>`;
}
