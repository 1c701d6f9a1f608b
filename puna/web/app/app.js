/** The page: its two rooms, and what they share. */
import { ask } from "./api.js";
import { Chats } from "./chats.js";
import { chats as kept, forget, fresh, keep } from "./keep.js";
import { Models } from "./models.js";
import { Talk } from "./talk.js";
import { html, render, useEffect, useState } from "./view.js";
import { language, say, speak } from "./words.js";

function Page() {
  const [room, setRoom] = useState("talk");
  const [models, setModels] = useState([]);
  const [chats, setChats] = useState([]);
  const [chat, setChat] = useState(() => fresh(""));
  const [error, setError] = useState("");
  const [, draw] = useState(0);

  async function refresh() {
    try {
      const found = (await ask("/api/tags")).models;
      setModels(found);
      setChat((open) => { open.model ||= found[0]?.name ?? ""; return open; });
      setError("");
    } catch {
      setError(say("gone"));
    }
  }
  const listed = () => kept().then(setChats, () => {});
  const changed = () => draw((count) => count + 1);
  const open = (chosen) => { setChat(chosen); setRoom("talk"); location.hash = chosen.id; };
  const begin = () => open(fresh(chat.model || models[0]?.name || ""));
  useEffect(() => {
    speak(language());
    refresh();
    kept().then((all) => {
      setChats(all);
      const last = all.find(({ id }) => id === location.hash.slice(1));
      if (last) setChat(last);
    }, () => {});
  }, []);
  useEffect(() => { if (chat.messages.length) { location.hash = chat.id; listed(); } }, [chat.messages.length, chat.id]);

  async function rename(chosen) {
    const title = prompt(say("renameTo"), chosen.title);
    if (!title) return;
    const named = chosen.id === chat.id ? chat : chosen;
    named.title = title;
    await keep(named);
    await listed();
  }
  async function remove(chosen) {
    if (!confirm(say("sureChat"))) return;
    await forget(chosen.id);
    if (chosen.id === chat.id) begin();
    await listed();
  }
  const tab = (name) => html`<button aria-current=${room === name ? "page" : undefined} onClick=${() => setRoom(name)}>${say(name)}</button>`;
  return html`<div class="frame">
    <nav aria-label="Puna"><div class="tabs">${tab("talk")}${tab("models")}
        <button class="quiet" onClick=${() => { speak(language() === "zh" ? "en" : "zh"); changed(); }}>${say("language")}</button></div>
      <button class="new" onClick=${begin}>${say("newChat")}</button>
      <${Chats} chats=${chats} current=${chat.id} open=${(chosen) => open(chosen.id === chat.id ? chat : chosen)} rename=${rename} remove=${remove} />
    </nav>
    <div class="room">${error && html`<p class="error" role="alert">${error}</p>`}
      ${room === "talk"
        ? html`<${Talk} key=${chat.id} chat=${chat} models=${models} changed=${changed} />`
        : html`<${Models} models=${models} refresh=${refresh} />`}</div>
  </div>`;
}

render(html`<${Page} />`, document.getElementById("page"));
