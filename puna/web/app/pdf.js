/** The text of a PDF file, by pdf.js, which is loaded with the first one. */
import { GlobalWorkerOptions, getDocument } from "../vendored/pdf.js";

GlobalWorkerOptions.workerSrc = new URL("../vendored/pdf.worker.js", import.meta.url).href;
// What the codes of fonts that are not in the file stand for, as in many of China, Japan and Korea; fetched when one is met.
const CMAPS = new URL("../vendored/cmaps/", import.meta.url).href;

/** "" when its pages are pictures. Throws when it cannot be read. @param {ArrayBuffer} data @returns {Promise<string>} */
export async function textOf(data) {
  const task = getDocument({ data, cMapUrl: CMAPS, isEvalSupported: false, useWasm: false });
  try {
    const file = await task.promise;
    const pages = [];
    for (let number = 1; number <= file.numPages; number++) {
      const { items } = await (await file.getPage(number)).getTextContent();
      pages.push(items.map(({ str, hasEOL }) => str + (hasEOL ? "\n" : "")).join(""));
    }
    return pages.join("\n\n").trim();
  } finally {
    await task.destroy();
  }
}
