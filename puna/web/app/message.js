/** One message of a chat: its text, folded thinking, calls and figures. */
import { Attachments } from "./attachments.js";
import { Calls } from "./calls.js";
import { copy } from "./clipboard.js";
import { Edit } from "./edit.js";
import { draw } from "./markdown.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./view.js";
import { Waiting } from "./waiting.js";
import { say } from "./words.js";

// After a drawing that took a while, as long again times this is left for typing and scrolling.
const REST = 4;

/** Draws a text as it grows: at most once a frame, and less often where a drawing takes long. */
function Markdown({ text, growing }) {
  const place = useRef(null);
  const drawn = useRef({ text: "", rested: 0 });
  const latest = useRef("");
  latest.current = text;
  /** Draws the latest text, also from a frame that was asked for with an earlier one. */
  function show() {
    const now = latest.current;
    if (!place.current || drawn.current.text === now) return;
    const began = performance.now();
    draw(place.current, now);
    const ended = performance.now();
    drawn.current = { text: now, rested: ended + REST * (ended - began) };
  }
  useEffect(() => {
    if (!growing) return undefined;
    let frame;
    const next = () => { frame = requestAnimationFrame(show); };
    const left = drawn.current.rested - performance.now();
    const timer = left > 0 ? setTimeout(next, left) : next();
    return () => { clearTimeout(timer); cancelAnimationFrame(frame); };
  }, [text, growing]);
  // With what stands below it, which would move otherwise.
  useLayoutEffect(() => { if (!growing) show(); }, [text, growing]);
  return html`<div class="markdown" ref=${place}></div>`;
}

function Copy({ text }) {
  const [done, setDone] = useState(false);
  const press = async () => {
    await copy(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button class="quiet" onClick=${press}>${say(done ? "copied" : "copy")}</button>`;
}

function Branches({ fork, walk }) {
  const last = fork.branches.length - 1;
  return html`<span class="branches" role="group" aria-label=${say("branches")}>
    <button class="quiet" aria-label=${say("earlier")} disabled=${!walk || fork.shown === 0} onClick=${() => walk(-1)}>‹</button>
    <small>${fork.shown + 1} / ${last + 1}</small>
    <button class="quiet" aria-label=${say("later")} disabled=${!walk || fork.shown === last} onClick=${() => walk(1)}>›</button></span>`;
}

function Thinking({ text, seconds, growing }) {
  return html`<details class="thinking">
    <summary>${seconds == null ? say("thinking") : `${say("thought")} ${seconds.toFixed(1)} s`}</summary>
    <${Markdown} text=${text} growing=${growing} />
  </details>`;
}

function Mine({ message, editing, edit, resend, walk }) {
  if (editing) return html`<${Edit} text=${message.content} done=${resend} cancel=${() => edit(false)} />`;
  return html`<div class="plain" dir="auto">${message.attachments && html`<${Attachments} files=${message.attachments} />`}${message.content}</div>
    <footer>
      ${message.fork && html`<${Branches} fork=${message.fork} walk=${walk} />`}
      ${message.content && html`<${Copy} text=${message.content} />`}
      ${edit && html`<button class="quiet" onClick=${() => edit(true)}>${say("edit")}</button>`}
    </footer>`;
}

function Theirs({ message, running, editing, edit, rewrite, again, goOn, reply, walk }) {
  return html`
    ${message.thinking && html`<${Thinking} text=${message.thinking} seconds=${message.thinking_seconds} growing=${running} />`}
    ${editing
      ? html`<${Edit} text=${message.content} answer done=${rewrite} cancel=${() => edit(false)} />`
      : html`<${Markdown} text=${message.content} growing=${running} />`}
    ${message.tool_calls && html`<${Calls} calls=${message.tool_calls} reply=${reply} />`}
    ${running && !message.content && html`<${Waiting} model=${message.model} />`}
    ${message.error && html`<p class="error" role="alert">${message.error}</p>`}
    ${!running && html`<footer>
      ${message.fork && html`<${Branches} fork=${message.fork} walk=${walk} />`}
      ${message.content && html`<${Copy} text=${message.content} />`}
      ${again && html`<button class="quiet" onClick=${again}>${say("again")}</button>`}
      ${goOn && message.content && message.done_reason !== "stop" && html`<button class="quiet" onClick=${goOn}>${say("goOn")}</button>`}
      ${edit && message.content && !editing && html`<button class="quiet" onClick=${() => edit(true)}>${say("edit")}</button>`}
      ${message.schema_error != null && html`<small class=${message.schema_error ? "misfit" : ""}>${message.schema_error ? `${say("misfit")} ${message.schema_error}` : `✓ ${say("fits")}`}</small>`}
      ${message.model && html`<small class="by">${message.model}</small>`}
      ${message.tokens_per_second != null && html`<small>${message.tokens_per_second.toFixed(1)} tok/s</small>`}
      ${message.time_to_first_token != null && html`<small>${say("first")} ${message.time_to_first_token.toFixed(2)} s</small>`}
    </footer>`}`;
}

function Result({ message }) {
  return html`<details class="thinking"><summary>${say("tool")}: ${message.tool_name}</summary><pre>${message.content}</pre></details>`;
}

const KINDS = { user: [Mine, "mine", "you"], assistant: [Theirs, "theirs", "model"], tool: [Result, "result", "tool"] };

/** A callback is left out where its action is not allowed.
 * @param {{message: import("./storage.js").Message, running?: boolean, editing?: boolean, edit?: (on: boolean) => void,
 *   resend?: (text: string) => void, rewrite?: (text: string) => void, again?: () => void, goOn?: () => void, walk?: (step: number) => void,
 *   reply?: (results: import("./storage.js").Message[]) => void}} shown */
export function Message(shown) {
  const [Kind, style, label] = KINDS[shown.message.role];
  return html`<article class=${style} aria-label=${say(label)}><${Kind} ...${shown} /></article>`;
}
