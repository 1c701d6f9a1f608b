/** Extracts the text of PDF files with pdf.js, which the first file loads. */
import { GlobalWorkerOptions, getDocument } from "../vendored/pdf.js";

GlobalWorkerOptions.workerSrc = new URL("../vendored/pdf.worker.js", import.meta.url).href;
// Character maps for fonts that are not in the file, common in Chinese, Japanese and Korean ones; fetched when needed.
const CMAPS = new URL("../vendored/cmaps/", import.meta.url).href;

/** Its text, and the numbers of the pages that have none. Throws when it cannot be read.
 * @param {ArrayBuffer} data @returns {Promise<{text: string, without: number[]}>} */
export async function textOf(data) {
  const task = getDocument({ data, cMapUrl: CMAPS, isEvalSupported: false, useWasm: false });
  try {
    const file = await task.promise;
    const pages = [];
    const without = [];
    for (let number = 1; number <= file.numPages; number++) {
      const { items } = await (await file.getPage(number)).getTextContent();
      const text = items.map(({ str, hasEOL }) => str + (hasEOL ? "\n" : "")).join("").trim();
      if (text) pages.push(text);
      else without.push(number);
    }
    return { text: pages.join("\n\n"), without };
  } finally {
    await task.destroy();
  }
}
