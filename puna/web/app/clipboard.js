/** Copies text, also where the page came over plain HTTP from another machine and browsers withhold their clipboard. */

/** @param {string} text */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const give = (event) => { event.preventDefault(); event.clipboardData.setData("text/plain", text); };
  document.addEventListener("copy", give, { once: true });
  document.execCommand("copy");
}
