/** Stores chats in this browser's IndexedDB. */
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
 */

const tabs = new BroadcastChannel("chats");
const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("puna", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("chats", { keyPath: "id" });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error.name === "VersionError" ? new Newer() : asked.error);
});

async function within(mode, act) {
  const transaction = (await opened).transaction("chats", mode);
  const asked = act(transaction.objectStore("chats"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/** Pinned chats, then the others, newest first; and whether a newer page stored some.
 * @returns {Promise<{chats: Chat[], newer: boolean}>} */
export async function chats() {
  const kept = await within("readonly", (store) => store.getAll());
  const known = kept.filter((one) => !isNewer(one)).map(upgraded);
  known.sort((a, b) => Boolean(b.pinned) - Boolean(a.pinned) || b.changed - a.changed);
  return { chats: known, newer: known.length < kept.length };
}
/** Merges it with other tabs' versions, stores it and notifies them. Throws Newer rather than overwrite a newer format.
 * @param {Chat} chat */
export async function keep(chat) {
  const before = await within("readwrite", (store) => {
    const asked = store.get(chat.id);
    asked.onsuccess = () => isNewer(asked.result ?? {}) || store.put(joined(structuredClone(chat), asked.result));
    return asked;
  });
  if (isNewer(before ?? {})) throw new Newer();
  tabs.postMessage(chat.id);
}
const joined = (chat, kept) => (kept ? { ...chat, messages: merged(chat.messages, upgraded(kept).messages) } : chat);
/** @param {string} id */
export const forget = (id) => within("readwrite", (store) => store.delete(id)).then(() => tabs.postMessage(id));
/** Calls `changed` with the id of each chat that another tab stores or forgets. @param {(id: string) => void} changed */
export const onElsewhere = (changed) => tabs.addEventListener("message", ({ data }) => changed(data));

// Without TLS, only pages from localhost have randomUUID.
export const unique = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
/** @returns {Chat} */
export const fresh = (model) => ({
  id: unique(), title: "", model, settings: {}, changed: Date.now(), format: FORMAT, messages: [],
});
