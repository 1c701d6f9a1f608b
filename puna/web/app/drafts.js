/** The unsent text and files of each chat. They stay while the user views another chat; the text survives a reload, too. */

/** @typedef {{text: string, attachments: import("./attachments.js").Attachment[]}} Draft */
/** @type {Map<string, Draft>} */
const drafts = new Map();
const name = (id) => `draft ${id}`;

/** A chat's draft. @param {string} id @returns {Draft} */
export function draft(id) {
  if (!drafts.has(id)) drafts.set(id, { text: sessionStorage.getItem(name(id)) ?? "", attachments: [] });
  return drafts.get(id);
}

/** Changes a chat's draft. @param {string} id @param {Partial<Draft>} what */
export function write(id, what) {
  const { text } = Object.assign(draft(id), what);
  try {
    if (text) sessionStorage.setItem(name(id), text);
    else sessionStorage.removeItem(name(id));
  } catch {
    // Too long to store: it stays until a reload.
  }
}
