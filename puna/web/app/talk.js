/** The talk: messages, what is typed, and the chat's settings. */
import { answer } from "./answer.js";
import { keep } from "./keep.js";
import { Message } from "./message.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

export function Talk({ chat, models, changed }) {
  const [typed, setTyped] = useState("");
  const [running, setRunning] = useState(null);
  const [unkept, setUnkept] = useState(false);
  const end = useRef(null);
  const save = () => keep(chat).catch(() => setUnkept(true));
  const set = (name) => (event) => { chat[name] = event.target.value; save(); changed(); };

  useEffect(() => {
    const stop = (event) => event.key === "Escape" && running?.abort();
    addEventListener("keydown", stop);
    return () => removeEventListener("keydown", stop);
  }, [running]);
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [chat.messages.length, chat.messages.at(-1)?.content]);
  useEffect(() => () => running?.abort(), [running]);

  async function run() {
    const control = new AbortController();
    setRunning(control);
    chat.changed = Date.now();
    await save();
    await answer(chat, control.signal, changed);
    setRunning(null);
    await save();
    changed();
  }
  function send(event) {
    event?.preventDefault();
    const content = typed.trim();
    if (!content || running || !chat.model) return;
    chat.messages.push({ role: "user", content });
    chat.title ||= content.slice(0, 60);
    setTyped("");
    run();
  }
  function again() {
    chat.messages.pop();
    run();
  }
  const key = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && send(event);
  const last = chat.messages.length - 1;

  return html`<main class="talk">
    <header>
      <select aria-label=${say("model")} value=${chat.model} onChange=${set("model")}>
        ${models.map(({ name }) => html`<option value=${name} selected=${name === chat.model}>${name}</option>`)}
      </select>
      <details class="settings"><summary>${say("settings")}</summary><div>
        <label>${say("system")}<textarea rows="3" value=${chat.system} onInput=${set("system")}></textarea></label>
        <label>${say("temperature")}<input type="number" min="0" max="2" step="0.1" value=${chat.temperature} onInput=${set("temperature")} /></label>
      </div></details>
    </header>
    <section class="messages" aria-label=${say("talk")}>
      ${last < 0 && html`<div class="greeting"><h1>${say("greet")}</h1><p>${models.length ? say("private") : say("none")}</p></div>`}
      ${chat.messages.map((message, at) => html`<${Message} key=${at} message=${message}
        running=${running && at === last} again=${at === last && !running && again} />`)}
      <div ref=${end}></div>
    </section>
    ${unkept && html`<p class="error" role="alert">${say("full")}</p>`}
    <form class="write" onSubmit=${send}>
      <textarea rows="2" aria-label=${say("message")} placeholder=${say("message")} value=${typed}
        onInput=${(event) => setTyped(event.target.value)} onKeyDown=${key}></textarea>
      ${running
        ? html`<button type="button" onClick=${() => running.abort()}>${say("stop")}</button>`
        : html`<button disabled=${!typed.trim() || !chat.model}>${say("send")}</button>`}
    </form>
  </main>`;
}
