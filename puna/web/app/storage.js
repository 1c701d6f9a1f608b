/**
 * Stores chats in this browser's IndexedDB, each in parts: its entry in the list, its messages, and the data of each
 * attachment. So the list is read without messages, and a growing answer is stored without the pictures before it.
 * A part's key is a list. A text is the key of a whole chat that an earlier page stored. Parts have no stores of their own:
 * the database would need another version, which a tab of that page would hold up.
 */
import { every, mapped } from "./branches.js";
import { FORMAT, Newer, isNewer, upgraded } from "./formats.js";
import { merged } from "./merge.js";

/**
 * @typedef {{id: string, changed?: number, continues?: string, role: "user" | "assistant" | "tool", content: string, model?: string,
 *   attachments?: import("./attachments.js").Attachment[], fork?: Fork, thinking?: string,
 *   thinking_seconds?: number, tool_calls?: import("./calls.js").Call[], error?: string, done_reason?: string,
 *   tokens_per_second?: number, time_to_first_token?: number, tokens?: number, context_length?: number, schema_error?: string,
 *   tool_name?: string}} Message
 *   What the API names has its name. Of an answer: when it last grew, the id of the one that it continues, seconds to its
 *   first token, tokens in the context after it, and where it does not fit its schema ("": it does).
 * @typedef {{shown: number, branches: Message[][]}} Fork
 * @typedef {{id: string, title: string, model: string, settings: import("./settings.js").Settings, changed: number,
 *   format: number, pinned?: boolean, folder?: string, messages: Message[]}} Chat
 * @typedef {Omit<Chat, "messages">} Entry
 */

const tabs = new BroadcastChannel("chats");
const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("puna", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("chats", { keyPath: "id" });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error.name === "VersionError" ? new Newer() : asked.error);
});
/** The parts whose keys begin so. */
const parts = (...key) => IDBKeyRange.bound(key, [...key, []]);
// A list comes after every text.
const WHOLE = IDBKeyRange.bound("", [], false, true);
/** The entries of whole chats for whose parts there is no room. @type {Map<string, Entry>} */
const unsplit = new Map();
/** Chats for which there is no room at all; they stay until the page is closed. @type {Map<string, Chat>} */
const unstored = new Map();
addEventListener("beforeunload", (event) => unstored.size && event.preventDefault());
let lasting;

const got = (asked) => new Promise((resolve, reject) => {
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function within(mode, act) {
  const transaction = (await opened).transaction("chats", mode);
  const ended = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  const [result] = await Promise.all([act(transaction.objectStore("chats")), ended]);
  return result;
}

/** Pinned chats, then the others, newest first; and whether a newer page stored some.
 * @returns {Promise<{chats: Entry[], newer: boolean}>} */
export async function chats() {
  const kept = await within("readonly", (store) => got(store.getAll(parts("entry"))));
  const known = kept.filter((one) => !isNewer(one)).map((one) => ({ ...one, id: one.id[1] }));
  const here = [...unstored.values()].map(({ messages, ...entry }) => entry);
  const all = [...new Map([...unsplit.values(), ...known, ...here].map((one) => [one.id, one])).values()];
  all.sort((a, b) => Boolean(b.pinned) - Boolean(a.pinned) || b.changed - a.changed);
  return { chats: all, newer: known.length < kept.length };
}

/** A whole chat; undefined if there is none, or a newer page stored it. @param {string} id @returns {Promise<Chat | undefined>} */
export async function load(id) {
  if (unstored.has(id)) return unstored.get(id);
  // Without room for the parts, it stays whole.
  await split(id).catch(() => {});
  return within("readonly", async (store) => {
    const [whole, entry, kept, attached] = await Promise.all([
      store.get(id), store.get(["entry", id]), store.get(["messages", id]), store.getAll(parts("attachment", id))].map(got));
    if (!entry) return whole && !isNewer(whole) ? upgraded(whole) : undefined;
    if (isNewer(entry)) return undefined;
    const data = new Map(attached.map((one) => [one.id[2], one.data]));
    for (const { attachments = [] } of every(kept.messages)) for (const one of attachments) one.data = data.get(one.id);
    return { ...entry, id, messages: kept.messages };
  });
}

/** Merges it with other tabs' versions, stores it and notifies them. Throws Newer rather than overwrite a newer format.
 * @param {Chat} chat */
export async function keep(chat) {
  try {
    await within("readwrite", (store) => put(store, chat));
  } catch (failure) {
    unstored.set(chat.id, chat);
    throw failure;
  }
  unstored.delete(chat.id);
  tabs.postMessage(chat.id);
  // Safari forgets after a week without a visit otherwise, and others when a disk is full.
  lasting ??= navigator.storage?.persist?.().catch(() => {});
}

async function put(store, { messages, ...entry }) {
  const { id } = entry;
  const [before, kept, attached] = await Promise.all([
    store.get(["entry", id]), store.get(["messages", id]), store.getAllKeys(parts("attachment", id))].map(got));
  if (isNewer(before ?? {})) throw new Newer();
  const data = new Map();
  const bare = ({ data: content, ...rest }) => { data.set(rest.id, content); return rest; };
  const mine = mapped(messages, (message) => (message.attachments ? { ...message, attachments: message.attachments.map(bare) } : message));
  for (const [, , one] of attached) data.delete(one);
  data.forEach((content, one) => store.put({ id: ["attachment", id, one], format: FORMAT, data: content }));
  store.put({ id: ["messages", id], format: FORMAT, messages: merged(mine, kept?.messages ?? []) });
  store.put({ ...entry, id: ["entry", id] });
}

/** Stores a whole chat in parts. A tab of an earlier page may store it whole again. */
const split = (id) => within("readwrite", async (store) => {
  const whole = await got(store.get(id));
  if (!whole || isNewer(whole)) return;
  await put(store, upgraded(whole));
  store.delete(id);
});

/** Stores all whole chats in parts, one at a time: together they may not fit into memory.
 * @param {() => void} changed called after each */
export async function splitAll(changed) {
  for (const id of await within("readonly", (store) => got(store.getAllKeys(WHOLE)))) {
    try {
      await split(id).catch(async () => {
        const { messages, ...entry } = await load(id);
        unsplit.set(id, entry);
      });
    } catch {
      // It cannot be read; the others can.
    }
    changed();
  }
}

/** The ids of chats of which a message holds `wanted`, which is in lower case. @param {string} wanted @returns {Promise<Set<string>>} */
export const holding = (wanted) => within("readonly", (store) => new Promise((resolve, reject) => {
  const found = new Set();
  const asked = store.openCursor(parts("messages"));
  asked.onerror = () => reject(asked.error);
  asked.onsuccess = () => {
    const at = asked.result;
    if (!at) return resolve(found);
    if (!isNewer(at.value) && every(at.value.messages).some(({ content }) => content.toLowerCase().includes(wanted))) found.add(at.key[1]);
    return at.continue();
  };
}));

/** @param {string} id */
export async function forget(id) {
  await within("readwrite", async (store) => {
    for (const key of [id, ["entry", id], ["messages", id], parts("attachment", id)]) store.delete(key);
  });
  unsplit.delete(id);
  unstored.delete(id);
  tabs.postMessage(id);
}

/** Calls `changed` with the id of each chat that another tab stores or forgets. @param {(id: string) => void} changed */
export const onElsewhere = (changed) => tabs.addEventListener("message", ({ data }) => changed(data));

// Without TLS, only pages from localhost have randomUUID.
export const unique = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
/** @returns {Chat} */
export const fresh = (model) => ({
  id: unique(), title: "", model, settings: {}, changed: Date.now(), format: FORMAT, messages: [],
});
