/** The talk: messages, what is typed, and the chat's settings. */
import { stop } from "./answers.js";
import { useFollow } from "./follow.js";
import { read, refusal } from "./give.js";
import { Given, Message } from "./message.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

export function Talk({ chat, models, running, run, save, changed }) {
  const [typed, setTyped] = useState("");
  const [given, setGiven] = useState([]);
  const [refused, setRefused] = useState("");
  const { place, growing, scrolled, toEnd } = useFollow();
  function set(name) {
    return (event) => {
      chat[name] = event.target.value;
      if (chat.messages.length) save(chat);
      changed();
    };
  }

  useEffect(() => {
    const escape = (event) => event.key === "Escape" && stop(chat.id);
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [chat.id]);

  function ask() {
    chat.changed = Date.now();
    toEnd();
    run(chat);
  }
  async function give(files) {
    const results = await Promise.allSettled(Array.from(files, (file) => read(file)));
    setGiven((before) => [...before, ...results.flatMap(({ value }) => value ?? [])]);
    setRefused(results.flatMap(({ reason }) => reason?.message ?? []).join(" "));
  }
  function take(event, files) {
    if (!files.length) return;
    event.preventDefault();
    give(files);
  }
  async function send(event) {
    event?.preventDefault();
    const content = typed.trim();
    if (!ready || running) return;
    const why = await refusal(given, chat.model, models).catch((error) => error.message);
    setRefused(why);
    if (why) return;
    chat.messages.push({ role: "user", content, ...(given.length && { given }) });
    chat.title ||= (content || given[0].name).slice(0, 60);
    setTyped("");
    setGiven([]);
    ask();
  }
  function again() {
    chat.messages.pop();
    ask();
  }
  const key = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && send(event);
  const last = chat.messages.length - 1;
  const ready = Boolean((typed.trim() || given.length) && chat.model);

  return html`<main class="talk" onDragOver=${(event) => event.preventDefault()}
      onDrop=${(event) => take(event, event.dataTransfer.files)}>
    <header>
      <select aria-label=${say("model")} value=${chat.model} onChange=${set("model")}>
        ${models.map(({ name }) => html`<option value=${name} selected=${name === chat.model}>${name}</option>`)}
      </select>
      <details class="settings"><summary>${say("settings")}</summary><div>
        <label>${say("system")}<textarea rows="3" value=${chat.system} onInput=${set("system")}></textarea></label>
        <label>${say("temperature")}<input type="number" min="0" max="2" step="0.1" value=${chat.temperature} onInput=${set("temperature")} /></label>
      </div></details>
    </header>
    <section class="messages" aria-label=${say("talk")} tabIndex="0" ref=${place} onScroll=${scrolled}><div ref=${growing}>
      ${last < 0 && html`<div class="greeting"><h1>${say("greet")}</h1><p>${models.length ? say("private") : say("none")}</p></div>`}
      ${chat.messages.map((message, at) => html`<${Message} key=${at} message=${message}
        running=${running && at === last} again=${at === last && !running && again} />`)}
    </div></section>
    ${refused && html`<p class="error" role="alert">${refused}</p>`}
    ${given.length > 0 && html`<div class="giving"><${Given} files=${given} drop=${(at) => setGiven(given.filter((_, one) => one !== at))} /></div>`}
    <form class="write" onSubmit=${send}>
      <label class="attach" title=${say("attach")}>＋<input type="file" multiple aria-label=${say("attach")}
        onChange=${(event) => { give(event.target.files); event.target.value = ""; }} /></label>
      <textarea rows="2" aria-label=${say("message")} placeholder=${say("message")} value=${typed}
        onInput=${(event) => setTyped(event.target.value)} onKeyDown=${key}
        onPaste=${(event) => take(event, event.clipboardData.files)}></textarea>
      ${running
        ? html`<button type="button" onClick=${() => stop(chat.id)}>${say("stop")}</button>`
        : html`<button disabled=${!ready}>${say("send")}</button>`}
    </form>
  </main>`;
}
