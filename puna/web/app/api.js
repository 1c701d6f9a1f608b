/** A client of Puna's public API. */
import { lines } from "./lines.js";
import { key, signIn } from "./signin.js";
import { say } from "./words.js";

/** @returns {Promise<any>} the JSON of an answer; throws an Error with its message. */
export async function ask(path, body, method = body ? "POST" : "GET") {
  const answer = await request(path, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(reason(text, answer.status));
  return text ? JSON.parse(text) : null;
}

/** Yields each object of a streamed answer. */
export async function* stream(path, body, signal) {
  const answer = await request(path, { method: "POST", body: JSON.stringify(body), signal });
  if (!answer.ok) throw new Error(reason(await answer.text(), answer.status));
  for await (const line of lines(answer.body)) {
    const part = JSON.parse(line);
    if (part.error) throw new Error(part.error);
    yield part;
  }
}

/** The headers of a request, with the key if there is one. */
export const signed = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

/** Sends a request; if the server requires a key, asks the user for it and tries again. */
export async function request(path, options) {
  for (;;) {
    const sent = key();
    const answer = await fetch(path, { ...options, headers: signed() });
    if (answer.status !== 401 || !(await signIn(sent))) return answer;
  }
}

/** Describes an error to the user. A failed fetch is a TypeError; other errors have the server's message.
 * @param {Error} error @param {"away" | "gone"} gone */
export const errorText = (error, gone = "away") => (error instanceof TypeError ? say(gone) : error.message);

/** The error message in an answer's body; only the status where something before the server wrote a page of its own.
 * @param {string} text @param {number} status */
export function reason(text, status) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text.trimStart().startsWith("<") ? `HTTP ${status}` : text;
  }
}
