/** A user's message being edited in place. */
import { isComposing } from "./composing.js";
import { html, useLayoutEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

/** @param {{text: string, send: (text: string) => void, cancel: () => void}} shown */
export function Edit({ text, send, cancel }) {
  const [typed, setTyped] = useState(text);
  const place = useRef(null);
  useLayoutEffect(() => { place.current.focus(); }, []);
  const done = (event) => { event.preventDefault(); if (typed.trim()) send(typed.trim()); };
  function key(event) {
    if (isComposing(event)) return;
    if (event.key === "Enter" && !event.shiftKey) done(event);
    if (event.key === "Escape") { event.stopPropagation(); cancel(); }
  }
  return html`<form class="edit" onSubmit=${done}>
    <textarea rows="2" dir="auto" ref=${place} aria-label=${say("editMessage")} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} onKeyDown=${key}></textarea>
    <button type="button" class="quiet" onClick=${cancel}>${say("cancel")}</button>
    <button disabled=${!typed.trim()}>${say("send")}</button>
  </form>`;
}
