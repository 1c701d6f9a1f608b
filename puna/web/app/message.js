/** One message of a chat: its text, its thinking folded, what it cost. */
import { rendered } from "./markdown.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

function Markdown({ text }) {
  const place = useRef(null);
  // At most once a frame, however fast the tokens come.
  useEffect(() => {
    const frame = requestAnimationFrame(() => place.current?.replaceChildren(rendered(text)));
    return () => cancelAnimationFrame(frame);
  }, [text]);
  return html`<div class="markdown" ref=${place}></div>`;
}

function Copy({ text }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button class="quiet" onClick=${copy}>${say(done ? "copied" : "copy")}</button>`;
}

/** Files of a message, or of one being written. @param {{files: import("./give.js").Given[], drop?: (at: number) => void}} shown */
export function Given({ files, drop }) {
  return html`<ul class="given">${files.map(({ name, kind, type, data }, at) => html`<li>
    ${kind === "vision" ? html`<img alt=${name} src=${`data:${type};base64,${data}`} />` : html`<span>${name}</span>`}
    ${drop && html`<button type="button" class="quiet" aria-label=${`${say("remove")}: ${name}`} onClick=${() => drop(at)}>✕</button>`}
  </li>`)}</ul>`;
}

/** @param {{message: import("./keep.js").Message, running: boolean, again?: () => void}} shown */
export function Message({ message, running, again }) {
  const mine = message.role === "user";
  return html`<article class=${mine ? "mine" : "theirs"} aria-label=${mine ? say("you") : say("model")}>
    ${message.thinking && html`<details class="thinking">
      <summary>${message.thoughtFor == null ? say("thinking") : `${say("thought")} ${message.thoughtFor.toFixed(1)} s`}</summary>
      <${Markdown} text=${message.thinking} />
    </details>`}
    ${mine ? html`<div class="plain">${message.given && html`<${Given} files=${message.given} />`}${message.content}</div>` : html`<${Markdown} text=${message.content} />`}
    ${running && html`<span class="waiting" aria-hidden="true"></span>`}
    ${message.error && html`<p class="error" role="alert">${message.error}</p>`}
    ${!mine && !running && html`<footer>
      <${Copy} text=${message.content} />
      ${again && html`<button class="quiet" onClick=${again}>${say("again")}</button>`}
      ${message.rate != null && html`<small>${message.rate.toFixed(1)} tok/s</small>`}
      ${message.first != null && html`<small>${say("first")} ${message.first.toFixed(2)} s</small>`}
    </footer>`}
  </article>`;
}
