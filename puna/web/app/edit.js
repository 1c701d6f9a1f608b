/** A message being edited in place. */
import { isComposing, isSending } from "./composing.js";
import { html, useLayoutEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

/** @param {{text: string, answer?: boolean, done: (text: string) => void, cancel: () => void}} shown an answer has many
 *  lines: Enter starts another one */
export function Edit({ text, answer, done, cancel }) {
  const [typed, setTyped] = useState(text);
  const place = useRef(null);
  useLayoutEffect(() => { place.current.focus(); }, []);
  const submit = (event) => { event.preventDefault(); if (typed.trim()) done(typed.trim()); };
  function key(event) {
    if (isSending(event) && (!answer || event.ctrlKey || event.metaKey)) submit(event);
    if (event.key === "Escape" && !isComposing(event)) { event.stopPropagation(); cancel(); }
  }
  return html`<form class="edit" onSubmit=${submit}>
    <textarea rows="2" dir="auto" ref=${place} aria-label=${say("editMessage")} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} onKeyDown=${key}></textarea>
    <button type="button" class="quiet" onClick=${cancel}>${say("cancel")}</button>
    <button disabled=${!typed.trim()}>${say(answer ? "save" : "send")}</button>
  </form>`;
}
