/** The answers being streamed. Each belongs to its chat, so it continues while the user views another one. */
import { say } from "./words.js";

/** @typedef {import("./storage.js").Chat} Chat @typedef {import("./storage.js").Message} Message */
/** @type {Map<string, {chat: Chat, message: Message, control: AbortController, ended: Promise<void>}>} */
const running = new Map();
// A reload in the middle of an answer loses at most this much.
const SAVED_EVERY_MS = 2000;

/** The chat of this id if it is being answered: newer than the stored one. @returns {Chat | undefined} */
export const answered = (id) => running.get(id)?.chat;

/** The message being streamed. Not always the chat's last: another tab may have continued it. @returns {Message | undefined} */
export const growing = (id) => running.get(id)?.message;

/** Answers a chat until the model ends or `stop` is called, then stores it. @param {Chat} chat */
export function begin(chat, save, changed) {
  const control = new AbortController();
  const message = chat.messages.at(-1);
  const ended = (async () => {
    await save(chat);
    const saving = setInterval(() => save(chat), SAVED_EVERY_MS);
    try {
      const { answer } = await import("./answer.js");
      await answer(chat, control.signal, changed);
    } catch {
      message.error = say("gone");
    }
    clearInterval(saving);
    await save(chat);
    running.delete(chat.id);
    changed();
  })();
  running.set(chat.id, { chat, message, control, ended });
  return ended;
}

/** Stops a chat's answer. Resolves once the partial answer is stored. @param {string} id */
export async function stop(id) {
  running.get(id)?.control.abort();
  await running.get(id)?.ended;
}
