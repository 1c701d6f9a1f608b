/** The unsent text and files of each chat. They stay while the user views another chat. */

/** @typedef {{typed: string, given: import("./attachments.js").Attachment[]}} Draft */
/** @type {Map<string, Draft>} */
const drafts = new Map();

/** A chat's draft; callers change it in place. @param {string} id @returns {Draft} */
export function draft(id) {
  if (!drafts.has(id)) drafts.set(id, { typed: "", given: [] });
  return drafts.get(id);
}
