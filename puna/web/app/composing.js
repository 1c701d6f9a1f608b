/** Keys that belong to an input method. */

/** Whether an input method, as for Chinese, takes this key. Safari ends its composition before the key that ends it, whose
 *  code is then 229 (UI Events, Legacy Key Attributes). @param {KeyboardEvent} event */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;
