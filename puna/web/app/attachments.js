/** Files attached to a message: images and sounds for models that accept them, and text, also from PDF files. */
import { ask } from "./api.js";
import { unique } from "./storage.js";
import { html } from "./view.js";
import { say } from "./words.js";

/** @typedef {{id: string, name: string, kind: "vision" | "audio" | "text", type: string, data: string, lacks?: string}} Attachment
 *  `data` is base64 or the text; `lacks` says what of the file is missing. */

const LARGEST = 20 * 2 ** 20;
const capabilities = new Map();

/** Reads a file. Throws an Error with a message for the user when it cannot be attached. @param {File} file @returns {Promise<Attachment>} */
export async function read(file) {
  if (file.size > LARGEST) throw new Error(`${file.name}: ${say("tooLarge")}`);
  // A drawing in SVG is text; models see pixels.
  const kind = file.type.startsWith("image/") && file.type !== "image/svg+xml" ? "vision" : file.type.startsWith("audio/") ? "audio" : "text";
  if (kind !== "text") return { id: unique(), name: file.name, kind, type: file.type, data: await base64(file) };
  if (file.type === "application/pdf" || file.name.toLowerCase().endsWith(".pdf")) return pdf(file);
  try {
    const data = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (data.includes("\0")) throw new TypeError();
    return { id: unique(), name: file.name, kind, type: "text/plain", data };
  } catch {
    throw new Error(`${file.name}: ${say("notText")}`);
  }
}

/** Why `model` does not accept these files, and which of `models` does; "" when it does.
 * @param {Attachment[]} attachments @param {string} model @param {{name: string}[]} models */
export async function refusal(attachments, model, models) {
  for (const { name, kind } of attachments) {
    if (kind === "text" || (await able(model)).includes(kind)) continue;
    const found = [];
    for (const other of models) if ((await able(other.name)).includes(kind)) found.push(other.name);
    return `${name}: ${model} ${say(kind === "vision" ? "blind" : "deaf")} ${found.length ? `${say("couldTake")} ${found.join(", ")}` : say("noneCould")}`;
  }
  return "";
}

/** The message as sent: attached text comes before the typed text. @param {import("./storage.js").Message} message */
export function sent({ role, content, thinking, tool_calls, tool_name, attachments = [] }) {
  const texts = attachments.filter(({ kind }) => kind === "text").map(({ name, data }) => `${name}:\n\n${data}\n\n`);
  const images = attachments.filter(({ kind }) => kind !== "text").map(({ data }) => data);
  return {
    role, content: texts.join("") + content, ...(images.length && { images }), ...(thinking && { thinking }), ...(tool_calls && { tool_calls }),
    ...(tool_name && { tool_name }),
  };
}

/** The attached files of a message or of a draft.
 * @param {{files: Attachment[], drop?: (at: number) => void}} shown */
export function Attachments({ files, drop }) {
  return html`<ul class="attachments">${files.map(({ name, kind, type, data, lacks }, at) => html`<li>
    ${kind === "vision" ? html`<img alt=${name} src=${`data:${type};base64,${data}`} />` : html`<span>${name}${lacks && html`<br /><small>${lacks}</small>`}</span>`}
    ${drop && html`<button type="button" class="quiet" aria-label=${`${say("remove")}: ${name}`} onClick=${() => drop(at)}>✕</button>`}
  </li>`)}</ul>`;
}

async function pdf(file) {
  let found;
  try {
    const { textOf } = await import("./pdf.js");
    found = await textOf(await file.arrayBuffer());
  } catch (error) {
    throw new Error(`${file.name}: ${error.name === "PasswordException" ? say("locked") : say("brokenPdf")}`);
  }
  const { text, without } = found;
  if (!text) throw new Error(`${file.name}: ${say("noText")}`);
  const lacks = without.length ? `${say("someNoText")} ${ranges(without)}` : undefined;
  // Tell the model, too, that a part is missing.
  const data = lacks ? `${text}\n\n(${lacks})` : text;
  return { id: unique(), name: file.name, kind: "text", type: "text/plain", data, ...(lacks && { lacks }) };
}

/** Rising numbers as ranges: "1, 3–5". @param {number[]} numbers */
function ranges(numbers) {
  const found = [];
  for (const number of numbers) {
    if (found.at(-1)?.to === number - 1) found.at(-1).to = number;
    else found.push({ from: number, to: number });
  }
  return found.map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}

async function able(model) {
  if (!capabilities.has(model)) capabilities.set(model, (await ask("/api/show", { model })).capabilities ?? []);
  return capabilities.get(model);
}

async function base64(file) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return url.slice(url.indexOf(",") + 1);
}
