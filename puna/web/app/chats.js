/** The list of chats: search, open, pin, move into folders, rename, export, import, delete. */
import { every } from "./branches.js";
import { asJson, asMarkdown, download, fromJson } from "./files.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

/** @typedef {import("./storage.js").Chat} Chat */

const holds = (chat, wanted) =>
  [chat.title, ...every(chat.messages).map(({ content }) => content)].some((text) => text.toLowerCase().includes(wanted));

/** Drawn here, because few fonts have a folder. */
const folderIcon = () => html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 3.5h4.5l1.5 2h7v7.5h-13z" /></svg>`;

/** Chats by their folders; those in none come last. @returns {[string, Chat[]][]} */
function folders(chats) {
  const names = [...new Set(chats.map(({ folder }) => folder ?? ""))].sort((a, b) => !a - !b || a.localeCompare(b));
  return names.map((name) => [name, chats.filter(({ folder }) => (folder ?? "") === name)]);
}

function List({ chats, label, current, open, pin, move, rename, remove }) {
  const act = (name, sign, doing, pressed) => (chat) => html`<button class="quiet" aria-pressed=${pressed?.(chat)} title=${say(name)}
    aria-label=${`${say(name)}: ${chat.title}`} onClick=${() => doing(chat)}>${sign(chat)}</button>`;
  const acts = [
    act("pin", ({ pinned }) => (pinned ? "★" : "☆"), pin, ({ pinned }) => Boolean(pinned)), act("folder", folderIcon, move),
    act("saveAs", () => "⤓", (chat) => download(`${chat.title}.md`, asMarkdown(chat), "text/markdown")),
    act("rename", () => "✎", rename), act("remove", () => "✕", remove),
  ];
  return html`<ul aria-label=${label}>${chats.map((chat) => html`
    <li key=${chat.id} class=${chat.id === current ? "current" : ""}>
      <button class="title" dir="auto" title=${chat.title} aria-current=${chat.id === current} onClick=${() => open(chat)}>${chat.title}</button>
      <span class="acts">${acts.map((one) => one(chat))}</span></li>`)}</ul>`;
}

export function Chats({ chats, add, ...acts }) {
  const [error, setError] = useState("");
  async function imported(event) {
    const [file] = event.target.files;
    event.target.value = "";
    try {
      await add(fromJson(await file.text()));
      setError("");
    } catch (failure) {
      setError(`${file.name}: ${failure.message}`);
    }
  }
  const [wanted, setWanted] = useState("");
  return html`<input type="search" aria-label=${say("search")} placeholder=${say("search")} value=${wanted}
      onInput=${(event) => setWanted(event.target.value)} />
    <div class="chats">${folders(chats.filter((chat) => holds(chat, wanted.toLowerCase()))).map(([folder, held]) => folder
      ? html`<details open key=${folder}><summary>${folder}</summary><${List} chats=${held} label=${folder} ...${acts} /></details>`
      : html`<${List} chats=${held} label=${say("chats")} ...${acts} />`)}</div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <div class="files">
      <button class="quiet" disabled=${!chats.length} onClick=${() => download("puna-chats.json", asJson(chats), "application/json")}>${say("exportAll")}</button>
      <label class="quiet attach">${say("importChats")}<input type="file" accept=".json,application/json" aria-label=${say("importChats")} onChange=${imported} /></label>
    </div>`;
}
