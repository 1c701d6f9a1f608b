/** Chats, kept in this browser's IndexedDB. */

/**
 * @typedef {{role: "user" | "assistant" | "tool", content: string, given?: import("./give.js").Given[], fork?: Fork, thinking?: string,
 *   thoughtFor?: number, calls?: import("./calls.js").Call[], error?: string, ended?: string, rate?: number, first?: number,
 *   tokens?: number, window?: number, misfit?: string, tool?: string}} Message
 *   Of an answer: seconds it thought, why it ended, tokens a second, seconds to its first token, tokens in the context
 *   after it and how many the context holds, and where it does not fit its schema ("": it does).
 * @typedef {{at: number, ways: Message[][]}} Fork
 * @typedef {{id: string, title: string, model: string, settings: import("./settings.js").Settings, changed: number,
 *   pinned?: boolean, folder?: string, messages: Message[]}} Chat
 */

const tabs = new BroadcastChannel("chats");
const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("puna", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("chats", { keyPath: "id" });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function within(mode, act) {
  const transaction = (await opened).transaction("chats", mode);
  const asked = act(transaction.objectStore("chats"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/** @returns {Promise<Chat[]>} the pinned ones, then the others, the latest first */
export const chats = async () =>
  (await within("readonly", (store) => store.getAll())).sort(
    (a, b) => Boolean(b.pinned) - Boolean(a.pinned) || b.changed - a.changed);
/** The other tabs hear of it. @param {Chat} chat */
export const keep = (chat) => within("readwrite", (store) => store.put(structuredClone(chat))).then(() => tabs.postMessage(chat.id));
/** @param {string} id */
export const forget = (id) => within("readwrite", (store) => store.delete(id)).then(() => tabs.postMessage(id));
/** Calls `changed` with the id of each chat that another tab keeps or forgets. @param {(id: string) => void} changed */
export const onElsewhere = (changed) => tabs.addEventListener("message", ({ data }) => changed(data));

/** @returns {Chat} */
export const fresh = (model) => ({
  id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
  title: "", model, settings: {}, changed: Date.now(), messages: [],
});
