/** The unsent text and files of each chat. They stay while the user views another chat; the text survives a reload, too. */

/** @typedef {{typed: string, given: import("./attachments.js").Attachment[]}} Draft */
/** @type {Map<string, Draft>} */
const drafts = new Map();
const name = (id) => `draft ${id}`;

/** A chat's draft. @param {string} id @returns {Draft} */
export function draft(id) {
  if (!drafts.has(id)) drafts.set(id, { typed: sessionStorage.getItem(name(id)) ?? "", given: [] });
  return drafts.get(id);
}

/** Changes a chat's draft. @param {string} id @param {Partial<Draft>} what */
export function write(id, what) {
  const { typed } = Object.assign(draft(id), what);
  try {
    if (typed) sessionStorage.setItem(name(id), typed);
    else sessionStorage.removeItem(name(id));
  } catch {
    // Too long to store: it stays until a reload.
  }
}
