/** The list of chats: search, open, pin, rename, export, import, delete. */
import { every } from "./branches.js";
import { asJson, asMarkdown, download, fromJson } from "./files.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

const holds = (chat, wanted) =>
  [chat.title, ...every(chat.messages).map(({ content }) => content)].some((text) => text.toLowerCase().includes(wanted));

export function Chats({ chats, current, open, pin, rename, remove, add }) {
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
    <ul class="chats" aria-label=${say("chats")}>${chats.filter((chat) => holds(chat, wanted.toLowerCase())).map((chat) => html`
      <li key=${chat.id} class=${chat.id === current ? "current" : ""}>
        <button class="title" aria-current=${chat.id === current} onClick=${() => open(chat)}>${chat.title}</button>
        <button class="quiet" aria-pressed=${Boolean(chat.pinned)} aria-label=${`${say("pin")}: ${chat.title}`} onClick=${() => pin(chat)}>${chat.pinned ? "★" : "☆"}</button>
        <button class="quiet" aria-label=${`${say("saveAs")}: ${chat.title}`} onClick=${() => download(`${chat.title}.md`, asMarkdown(chat), "text/markdown")}>⤓</button>
        <button class="quiet" aria-label=${`${say("rename")}: ${chat.title}`} onClick=${() => rename(chat)}>✎</button>
        <button class="quiet" aria-label=${`${say("remove")}: ${chat.title}`} onClick=${() => remove(chat)}>✕</button>
      </li>`)}</ul>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <div class="files">
      <button class="quiet" disabled=${!chats.length} onClick=${() => download("puna-chats.json", asJson(chats), "application/json")}>${say("exportAll")}</button>
      <label class="quiet attach">${say("importChats")}<input type="file" accept=".json,application/json" aria-label=${say("importChats")} onChange=${imported} /></label>
    </div>`;
}
