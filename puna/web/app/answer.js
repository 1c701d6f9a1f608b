/** Streams one answer into a chat's last message. */
import { stream } from "./api.js";
import { sent } from "./give.js";
import { say } from "./words.js";

/** @param {import("./keep.js").Chat} chat @param {AbortSignal} signal @param {() => void} changed */
export async function answer(chat, signal, changed) {
  const messages = chat.messages.filter(({ content, given }) => content || given).map(sent);
  if (chat.system) messages.unshift({ role: "system", content: chat.system });
  const options = chat.temperature === "" ? {} : { temperature: Number(chat.temperature) };
  const message = { role: "assistant", content: "" };
  chat.messages.push(message);
  changed();
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  let done = false;
  try {
    for await (const part of stream("/api/chat", { model: chat.model, messages, options }, signal)) {
      const { thinking, content } = part.message ?? {};
      if (thinking || content) message.first ??= elapsed();
      if (thinking) message.thinking = (message.thinking ?? "") + thinking;
      if (content) {
        if (message.thinking) message.thoughtFor ??= elapsed() - message.first;
        message.content += content;
      }
      if (part.done) {
        done = true;
        message.rate = part.eval_duration ? part.eval_count / (part.eval_duration / 1e9) : undefined;
      }
      changed();
    }
    if (!done) message.error = say("ended");
  } catch (error) {
    if (error.name !== "AbortError") message.error = error instanceof TypeError ? say("gone") : error.message;
  }
  changed();
}
