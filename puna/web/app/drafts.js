/** What is written and given in each chat, and not sent yet. It stays while the person looks elsewhere. */

/** @typedef {{typed: string, given: import("./give.js").Given[]}} Draft */
/** @type {Map<string, Draft>} */
const drafts = new Map();

/** A chat's draft, to be changed in place. @param {string} id @returns {Draft} */
export function draft(id) {
  if (!drafts.has(id)) drafts.set(id, { typed: "", given: [] });
  return drafts.get(id);
}
