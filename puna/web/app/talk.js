/** An open chat: its messages, the input and the settings. */
import { stop } from "./answers.js";
import { Attachments, read, refusal } from "./attachments.js";
import { branch, mapped, walk } from "./branches.js";
import { isComposing, isSending } from "./composing.js";
import { draft, write as writeDraft } from "./drafts.js";
import { useFollow } from "./follow.js";
import { lazy } from "./lazy.js";
import { ContextMeter } from "./meter.js";
import { unique } from "./storage.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { say } from "./words.js";

const Messages = lazy(() => import("./messages.js").then((module) => module.Messages));
const Settings = lazy(() => import("./panel.js").then((module) => module.Settings));

export function Talk({ chat, models, none, pull, running, run, save, changed, refresh }) {
  const written = draft(chat.id);
  const { text, attachments } = written;
  const [refused, setRefused] = useState("");
  const [editing, setEditing] = useState(-1);
  const [sending, setSending] = useState(false);
  const writing = useRef(null);
  const { place, growing, scrolled, away, toEnd } = useFollow();
  function write(what) {
    writeDraft(chat.id, what);
    changed();
  }
  function set(what) {
    Object.assign(chat, what);
    if (chat.messages.length) save(chat);
    changed();
  }

  useEffect(() => {
    const escape = (event) => event.key === "Escape" && !isComposing(event) && stop(chat.id);
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [chat.id]);

  function ask() {
    chat.changed = Date.now();
    toEnd();
    run(chat);
  }
  async function attach(files) {
    const results = await Promise.allSettled(Array.from(files, (file) => read(file)));
    write({ attachments: [...written.attachments, ...results.flatMap(({ value }) => value ?? [])] });
    setRefused(results.flatMap(({ reason }) => reason?.message ?? []).join(" "));
  }
  function take(event, files) {
    if (!files.length) return;
    event.preventDefault();
    attach(files);
  }
  function paste(event) {
    const { types, files } = event.clipboardData;
    // With a text, office programs give a picture of it, which nobody means.
    if (!["text/plain", "text/html"].every((type) => types.includes(type))) take(event, files);
  }
  /** Why this cannot be sent; "" when it can. The page may still be waiting for the list of models. */
  async function hindrance() {
    const known = models.length ? models : await refresh();
    chat.model ||= known[0]?.name ?? "";
    return chat.model ? refusal(attachments, chat.model, known) : say("none");
  }
  async function send(event) {
    event?.preventDefault();
    const content = text.trim();
    if (!ready || running || sending) return;
    setSending(true);
    const why = await hindrance().catch((error) => error.message);
    setSending(false);
    setRefused(why);
    if (why) return;
    chat.messages.push({ id: unique(), role: "user", content, ...(attachments.length && { attachments }) }, blank());
    chat.title ||= (content || attachments[0].name).slice(0, 60);
    write({ text: "", attachments: [] });
    ask();
  }
  function resend(at, content) {
    const { attachments: kept } = chat.messages[at];
    branch(chat, at, { id: unique(), role: "user", content, ...(kept && { attachments: kept }) });
    chat.messages.push(blank());
    edit(-1);
    ask();
  }
  /** Replaces an answer by what the user makes of it. What follows it stays. */
  function rewrite(at, content) {
    const { role, model, thinking, thinking_seconds, tool_calls } = chat.messages[at];
    const later = mapped(chat.messages.slice(at + 1), (message) => ({ ...message }));
    branch(chat, at, { id: unique(), role, content, model, thinking, thinking_seconds, tool_calls });
    chat.messages.push(...later);
    edit(-1);
    save(chat);
    changed();
  }
  function reply(results) {
    chat.messages.push(...results, blank());
    ask();
  }
  /** Continues an answer under a new id, because another tab may continue it, too. */
  function goOn() {
    const stopped = chat.messages[last];
    chat.messages[last] = { ...stopped, id: unique(), continues: stopped.id };
    ask();
  }
  function again() {
    branch(chat, last, blank());
    ask();
  }
  function turn(at, step) {
    walk(chat, at, step);
    edit(-1);
    save(chat);
    changed();
  }
  function edit(at) {
    setEditing(at);
    if (at < 0) writing.current.focus();
  }
  function key(event) {
    if (isSending(event)) send(event);
    if (event.key === "ArrowUp" && !text && !running) {
      event.preventDefault();
      edit(chat.messages.findLastIndex(({ role }) => role === "user"));
    }
  }
  const last = chat.messages.length - 1;
  const ready = Boolean(text.trim() || attachments.length);
  const acts = (at) => !running && {
    edit: (on) => edit(on ? at : -1), resend: (content) => resend(at, content), rewrite: (content) => rewrite(at, content), walk: (step) => turn(at, step),
    ...(at === last && { again, goOn, reply }),
  };

  return html`<main class="talk" onDragOver=${(event) => event.preventDefault()}
      onDrop=${(event) => take(event, event.dataTransfer.files)}>
    <header>
      ${!none && html`<select aria-label=${say("model")} value=${chat.model} onChange=${(event) => set({ model: event.target.value })}>
        ${choices(models, chat.model).map(([name, label]) => html`<option value=${name} selected=${name === chat.model}>${label}</option>`)}
      </select>`}
      <${ContextMeter} message=${chat.messages.findLast(({ context_length: length }) => length)} />
      <${Settings} settings=${chat.settings} set=${(settings) => set({ settings })} />
    </header>
    <section class="messages" aria-label=${say("talk")} tabIndex="0" ref=${place} onScroll=${scrolled}><div ref=${growing}>
      ${last < 0 && html`<div class="greeting"><h1>${say("greet")}</h1><p>${say(none ? "none" : "private")}</p>
        ${none && html`<button onClick=${pull}>${say("pullOne")}</button>`}</div>`}
      <${Messages} messages=${chat.messages} running=${running} editing=${editing} acts=${acts} place=${place} />
    </div>${away && html`<button class="to-end" aria-label=${say("toEnd")} title=${say("toEnd")} onClick=${() => { toEnd(); place.current.focus(); }}>↓</button>`}
    </section>
    <p class="unseen" role="status">${running ? say("answering") : chat.messages[last]?.done_reason && say("answered")}</p>
    ${refused && html`<p class="error" role="alert">${refused}</p>`}
    ${attachments.length > 0 && html`<div class="attached"><${Attachments} files=${attachments} drop=${(at) => write({ attachments: attachments.filter((_, one) => one !== at) })} /></div>`}
    <form class="write" onSubmit=${send}>
      <label class="attach" title=${say("attach")}>+<input type="file" multiple aria-label=${say("attach")}
        onChange=${(event) => { attach(event.target.files); event.target.value = ""; }} /></label>
      <textarea rows="2" dir="auto" aria-label=${say("message")} placeholder=${say("message")} value=${text} ref=${writing} readOnly=${sending}
        onInput=${(event) => write({ text: event.target.value })} onKeyDown=${key}
        onPaste=${paste}></textarea>
      ${running
        ? html`<button type="button" onClick=${() => stop(chat.id)}>${say("stop")}</button>`
        : html`<button disabled=${!ready || sending}>${say("send")}</button>`}
    </form>
  </main>`;
}

const blank = () => ({ id: unique(), role: "assistant", content: "" });

/** Names and labels of the models; includes the chat's model even if it was removed. */
const choices = (models, chosen) => [
  ...(chosen && models.length && !models.some(({ name }) => name === chosen) ? [[chosen, `${chosen} (${say("missing")})`]] : []),
  ...models.map(({ name }) => [name, name]),
];
