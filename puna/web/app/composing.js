/** What keys mean in a box where a message is written. */

/** Whether an input method, as for Chinese, takes this key. Safari ends its composition before the key that ends it, whose
 *  code is then 229 (UI Events, Legacy Key Attributes). @param {KeyboardEvent} event */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** Whether this key sends. On a touch screen's keyboard, which has no Shift+Enter, Enter starts a new line.
 *  @param {KeyboardEvent} event */
export const isSending = (event) => event.key === "Enter" && !isComposing(event) &&
  (event.ctrlKey || event.metaKey || !(event.shiftKey || matchMedia("(pointer: coarse)").matches));
