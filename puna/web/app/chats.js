/** The list of chats: search, open, rename, delete. */
import { html, useState } from "./view.js";
import { say } from "./words.js";

const holds = (chat, wanted) =>
  [chat.title, ...chat.messages.map(({ content }) => content)].some((text) => text.toLowerCase().includes(wanted));

export function Chats({ chats, current, open, rename, remove }) {
  const [wanted, setWanted] = useState("");
  return html`<input type="search" aria-label=${say("search")} placeholder=${say("search")} value=${wanted}
      onInput=${(event) => setWanted(event.target.value)} />
    <ul class="chats" aria-label=${say("chats")}>${chats.filter((chat) => holds(chat, wanted.toLowerCase())).map((chat) => html`
      <li key=${chat.id} class=${chat.id === current ? "current" : ""}>
        <button class="title" aria-current=${chat.id === current} onClick=${() => open(chat)}>${chat.title}</button>
        <button class="quiet" aria-label=${`${say("rename")}: ${chat.title}`} onClick=${() => rename(chat)}>✎</button>
        <button class="quiet" aria-label=${`${say("remove")}: ${chat.title}`} onClick=${() => remove(chat)}>✕</button>
      </li>`)}</ul>`;
}
