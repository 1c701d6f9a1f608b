/** The page: its rooms and their shared state. */
import { answered, begin as beginAnswer, growing, stop } from "./answers.js";
import { ask, errorText } from "./api.js";
import { Appearance, appear } from "./appearance.js";
import { draft, write } from "./drafts.js";
import { Newer } from "./formats.js";
import { lazy } from "./lazy.js";
import { take } from "./merge.js";
import { key, signOut } from "./signin.js";
import { chats as kept, forget, fresh, keep, load, onElsewhere, splitAll } from "./storage.js";
import { Talk } from "./talk.js";
import { html, render, useEffect, useMemo, useRef, useState } from "./view.js";
import { language, say, speak } from "./words.js";

const Chats = lazy(() => import("./chats.js").then((module) => module.Chats));
const Compare = lazy(() => import("./compare.js").then((module) => module.Compare));
const Models = lazy(() => import("./models.js").then((module) => module.Models));
const Palette = lazy(() => import("./palette.js").then((module) => module.Palette));

function Page({ first }) {
  const [room, setRoom] = useState("talk");
  const [models, setModels] = useState([]);
  const [none, setNone] = useState(false);
  const [menu, setMenu] = useState(false);
  const [chats, setChats] = useState([]);
  const [chat, setChat] = useState(first);
  const [error, setError] = useState("");
  const [unkept, setUnkept] = useState("");
  const [newer, setNewer] = useState(false);
  const [, draw] = useState(0);
  const refused = useRef(false);

  /** Reloads the models; none when the server fails. */
  async function refresh() {
    try {
      const found = (await ask("/api/tags")).models;
      const name = shown.current.model || await usual(found);
      // The same list as before asks nothing about its models again.
      setModels((before) => (JSON.stringify(before) === JSON.stringify(found) ? before : found));
      refused.current = false;
      setNone(!found.length);
      setChat((open) => { open.model ||= name; return open; });
      setError("");
      return found;
    } catch (failure) {
      refused.current = !(failure instanceof TypeError);
      setError(errorText(failure, "gone"));
      return [];
    }
  }
  /** The installed model of the chat that was last talked in. */
  async function usual(found) {
    const { chats: all } = await kept().catch(() => ({ chats: [] }));
    const talked = all.filter(({ model }) => found.some(({ name }) => name === model));
    talked.sort((a, b) => b.changed - a.changed);
    return talked[0]?.model ?? found[0]?.name ?? "";
  }
  /** Reloads the list of the stored chats. */
  async function listed() {
    try {
      const { chats: all, newer: some } = await kept();
      setChats(all);
      setNewer(some);
    } catch (failure) {
      setNewer(failure instanceof Newer);
    }
  }
  const changed = () => draw((count) => count + 1);
  const drawn = useRef(0);
  /** At most once a frame, however fast the tokens come. */
  function streamed() {
    cancelAnimationFrame(drawn.current);
    drawn.current = requestAnimationFrame(changed);
  }
  /** A chat as it is here, or else as it is stored. */
  const whole = async (id) => answered(id) ?? (id === chat.id ? chat : load(id));
  const inRoom = (name) => ({ name: say(name), act: () => enter(name) });
  /** In a narrow window, a choice closes the list of chats. */
  const enter = (name) => { setRoom(name); setMenu(false); };
  /** The listed chats are loaded when the address names them. */
  const open = (id) => { enter("talk"); location.hash = id; };
  const begin = () => {
    const one = fresh(installed(chat.model) ? chat.model : models[0]?.name ?? "");
    setChat(one);
    open(one.id);
  };
  const installed = (wanted) => models.some(({ name }) => name === wanted);
  useEffect(() => {
    speak(language());
    refresh();
    load(first.id).then((last) => {
      // The user may have written to it meanwhile.
      if (last && first.messages.length) take(first, last);
      else if (last) setChat((open) => (open === first ? last : open));
      changed();
    }).catch(() => {});
    listed().then(() => splitAll(listed)).catch(() => {});
  }, []);
  const shown = useRef(chat);
  shown.current = chat;
  useEffect(() => onElsewhere(async (id) => {
    listed();
    if (!answered(id) && shown.current.id !== id) return;
    const there = await load(id).catch(() => null);
    if (there === null) return;
    const here = answered(id) ?? (shown.current.id === id ? shown.current : undefined);
    if (here && there) take(here, there);
    else if (answered(id)) await drop(id);
    changed();
  }), []);
  useEffect(() => {
    /** Opens the chat of an address that the user goes to, as with Back. */
    async function went() {
      const id = location.hash.slice(1);
      if (id === shown.current.id) return;
      const there = answered(id) ?? await load(id).catch(() => {});
      // The user may have gone on meanwhile.
      if (id !== location.hash.slice(1)) return;
      const one = there ?? { ...fresh(shown.current.model), ...(id && { id }) };
      history.replaceState(null, "", `#${one.id}`);
      setChat(one);
      enter("talk");
    }
    addEventListener("hashchange", went);
    // Models may have come or gone while the user was elsewhere. Who has no key is not asked for it each time.
    addEventListener("focus", () => refused.current || refresh());
  }, []);
  useEffect(() => { document.title = chat.title ? `${chat.title} – Puna` : "Puna"; }, [chat.title]);
  useEffect(() => { if (chat.messages.length) listed(); }, [chat.messages.length, chat.id]);

  /** Stores a chat; whether it could be. */
  const save = (chosen) => keep(chosen).then(
    () => { setUnkept(""); return true; }, (failure) => { setUnkept(failure instanceof Newer ? "newer" : "full"); return false; });
  async function run(chosen) {
    const ended = beginAnswer(chosen, save, streamed);
    // Within this frame, so that nothing can be sent twice.
    changed();
    await ended;
    await listed();
    // Its model may have been deleted.
    if (chosen.messages.at(-1)?.error) refresh();
  }

  /** Changes a chat, which may be open or being answered. */
  async function alter(chosen, what) {
    const one = await whole(chosen.id);
    // Another tab may have deleted it.
    if (one) await save(Object.assign(one, what));
    await listed();
  }
  function rename(chosen) {
    const title = prompt(say("renameTo"), chosen.title);
    if (title) alter(chosen, { title });
  }
  function move(chosen) {
    const folder = prompt(say("folderName"), chosen.folder ?? "");
    if (folder !== null) alter(chosen, { folder: folder.trim() });
  }
  const pin = (chosen) => alter(chosen, { pinned: !chosen.pinned });
  async function add(imported) {
    for await (const one of imported) if (!(await save(one))) break;
    await listed();
  }
  const remove = (chosen) => confirm(say("sureChat")) && dropAll([chosen]);
  const removeAll = (chosen) => confirm(`${say("sureChats")} ${chosen.length}`) && dropAll(chosen);
  async function dropAll(chosen) {
    await drop(...chosen.map(({ id }) => id));
    if (chosen.some(({ id }) => id === chat.id)) begin();
  }
  async function drop(...ids) {
    for (const id of ids) {
      // An answer stores its chat when it ends.
      await stop(id);
      await forget(id);
    }
    await listed();
  }
  async function saved(chosen) {
    const { asJson, download } = await import("./files.js");
    download(`${chosen.title}.json`, await asJson([async () => chosen]));
  }
  const tab = (name) => html`<button aria-current=${room === name ? "page" : undefined} onClick=${() => enter(name)}>${say(name)}</button>`;
  const choices = [
    { name: say("newChat"), act: begin }, ...["talk", "models", "compare"].map(inRoom),
    ...chats.map((one) => ({ name: one.title, act: () => open(one.id) })),
  ];
  // With many chats, drawing their list at each token and key would take the whole frame.
  const list = useMemo(() => html`<${Chats} chats=${chats} current=${chat.id} open=${({ id }) => open(id)} load=${whole} pin=${pin} move=${move}
    rename=${rename} remove=${remove} removeAll=${removeAll} add=${add} />`, [chats, chat, models, language()]);
  return html`<div class="frame"><${Palette} choices=${choices} />
    <nav aria-label="Puna" class=${menu ? "open" : ""}><div class="tabs">${tab("talk")}${tab("models")}${tab("compare")}
        <button class="quiet menu" aria-expanded=${menu} aria-label=${say("chats")} onClick=${() => setMenu(!menu)}>☰</button></div>
      <button class="new" onClick=${begin}>${say("newChat")}</button>
      <div class="list">${list}
      ${newer && html`<p class="error">${say("newer")}</p>`}
      <${Appearance} />
      <div class="files"><button class="quiet" onClick=${() => { speak(language() === "zh" ? "en" : "zh"); changed(); }}>${say("language")}</button>
        ${key() && html`<button class="quiet" onClick=${() => { signOut(); location.reload(); }}>${say("signOut")}</button>`}</div></div>
    </nav>
    <div class="room">${error && html`<p class="error" role="alert">${error}</p>`}
      ${unkept && html`<p class="error" role="alert">${say(unkept)}
        <button class="quiet" onClick=${() => saved(chat)}>${say("exportThis")}</button></p>`}
      ${room === "talk"
        ? html`<${Talk} key=${chat.id} chat=${chat} models=${models} running=${growing(chat.id)} run=${run} save=${save} changed=${changed} refresh=${refresh}
            none=${none} pull=${() => enter("models")} />`
        : room === "compare" ? html`<${Compare} models=${models} />` : html`<${Models} models=${models} none=${none} refresh=${refresh} changed=${changed} />`}</div>
  </div>`;
}

appear();
// The chat that the address names; empty until it is loaded.
const first = { ...fresh(""), ...(location.hash && { id: location.hash.slice(1) }) };
const page = document.getElementById("page");
// So a reload finds this chat's draft.
history.replaceState(null, "", `#${first.id}`);
const { text } = draft(first.id);
const early = page.querySelector("textarea").value;
// Firefox fills the box with what was in it before a reload.
write(first.id, { text: early.startsWith(text) ? early : text + early });
// A file dropped beside its place would replace the page.
for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => {
    if (event.defaultPrevented || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
render(html`<${Page} first=${first} />`, page);
performance.mark("interactive");
