/** The list of chats: search, open, pin, move into folders, rename, export, import, delete. */
import { asJson, asMarkdown, chatsOf, download } from "./files.js";
import { holding } from "./storage.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

/** @typedef {import("./storage.js").Entry} Entry */

// Each search reads all messages; while the user types on, none is due.
const TYPED_MS = 100;

/** Drawn here, because few fonts have a folder. */
const folderIcon = () => html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 3.5h4.5l1.5 2h7v7.5h-13z" /></svg>`;

/** Chats by their folders; those in none come last. @returns {[string, Entry[]][]} */
function folders(chats) {
  const names = [...new Set(chats.map(({ folder }) => folder ?? ""))].sort((a, b) => !a - !b || a.localeCompare(b));
  return names.map((name) => [name, chats.filter(({ folder }) => (folder ?? "") === name)]);
}

function List({ chats, label, current, open, load, pin, move, rename, remove }) {
  const act = (name, sign, doing, pressed) => (chat) => html`<button class="quiet" aria-pressed=${pressed?.(chat)} title=${say(name)}
    aria-label=${`${say(name)}: ${chat.title}`} onClick=${() => doing(chat)}>${sign(chat)}</button>`;
  const acts = [
    act("pin", ({ pinned }) => (pinned ? "★" : "☆"), pin, ({ pinned }) => Boolean(pinned)), act("folder", folderIcon, move),
    act("saveAs", () => "⤓", async (chat) => download(`${chat.title}.md`, asMarkdown(await load(chat.id)))),
    act("rename", () => "✎", rename), act("remove", () => "✕", remove),
  ];
  return html`<ul aria-label=${label}>${chats.map((chat) => html`
    <li key=${chat.id} class=${chat.id === current ? "current" : ""}>
      <button class="title" dir="auto" title=${chat.title} aria-current=${chat.id === current} onClick=${() => open(chat)}>${chat.title}</button>
      <span class="acts">${acts.map((one) => one(chat))}</span></li>`)}</ul>`;
}

/** What is searched for can be deleted together. */
export function Chats({ chats, add, removeAll, ...acts }) {
  const [error, setError] = useState("");
  async function imported(event) {
    const [file] = event.target.files;
    event.target.value = "";
    try {
      // All are checked before one is added.
      for await (const chat of chatsOf(file)) void chat;
      await add(chatsOf(file));
      setError("");
    } catch (failure) {
      setError(`${file.name}: ${failure.message}`);
    }
  }
  const exported = async () => download("puna-chats.json", await asJson(chats.map(({ id }) => () => acts.load(id))));
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState({ ids: new Set() });
  const wanted = typed.toLowerCase();
  useEffect(() => {
    if (!wanted) return undefined;
    let late = false;
    const timer = setTimeout(() => holding(wanted).then((ids) => late || setFound({ wanted, ids }), () => {}), TYPED_MS);
    return () => { late = true; clearTimeout(timer); };
  }, [wanted, chats]);
  const shown = chats.filter(({ id, title }) => found.ids.has(id) || title.toLowerCase().includes(wanted));
  return html`<input type="search" aria-label=${say("search")} placeholder=${say("search")} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} />
    <div class="chats">${folders(shown).map(([folder, held]) => folder
      ? html`<details open key=${folder}><summary>${folder}</summary><${List} chats=${held} label=${folder} ...${acts} /></details>`
      : html`<${List} chats=${held} label=${say("chats")} ...${acts} />`)}</div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <div class="files">
      <button class="quiet" disabled=${!chats.length} onClick=${() => exported()}>${say("exportAll")}</button>
      <label class="quiet attach">${say("importChats")}<input type="file" accept=".json,application/json" aria-label=${say("importChats")} onChange=${imported} /></label>
      <button class="quiet" disabled=${!shown.length || (wanted && found.wanted !== wanted)} onClick=${() => removeAll(shown)}>${say("removeAll")}</button>
    </div>`;
}
