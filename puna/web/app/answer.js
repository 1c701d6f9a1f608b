/** Streams an answer into a chat's last message. */
import { ask, errorText, stream } from "./api.js";
import { sent } from "./attachments.js";
import { misfit } from "./schema.js";
import { requested } from "./settings.js";
import { say } from "./words.js";

/** Fills the chat's last message, which is empty for a new answer; text in it is continued.
 * @param {import("./storage.js").Chat} chat @param {AbortSignal} signal @param {() => void} changed */
export async function answer(chat, signal, changed) {
  const message = chat.messages.at(-1);
  const grown = () => { message.changed = Date.now(); changed(); };
  const before = message.content;
  delete message.error;
  delete message.done_reason;
  delete message.schema_error;
  message.model = chat.model;
  grown();
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const thought = () => { if (message.thinking && !before) message.thinking_seconds ??= elapsed() - message.time_to_first_token; };
  try {
    const body = request(chat);
    for await (const part of stream("/api/chat", body, signal)) {
      const { thinking, content, tool_calls: calls } = part.message ?? {};
      if (thinking || content || calls) message.time_to_first_token ??= elapsed();
      if (thinking) message.thinking = (message.thinking ?? "") + thinking;
      if (calls) message.tool_calls = [...(message.tool_calls ?? []), ...calls];
      if (content || calls) thought();
      if (content) message.content += content;
      if (part.done) measured(message, part);
      grown();
    }
    if (!message.done_reason) message.error = say("ended");
    if (body.format && message.content) message.schema_error = checked(message.content, body.format);
    message.context_length = await contextOf(chat.model);
  } catch (error) {
    if (error.name !== "AbortError") message.error = errorText(error, "gone");
  }
  thought();
  grown();
}

function request({ model, settings, messages: held }) {
  const messages = held.filter(({ role, content, attachments, tool_calls: calls }) => role === "tool" || content || attachments || calls).map(sent);
  if (settings.system) messages.unshift({ role: "system", content: settings.system });
  return { model, messages, ...requested(settings) };
}

/** The place where an answer does not fit the requested format. */
function checked(text, format) {
  try {
    const value = JSON.parse(text);
    return format === "json" ? "" : misfit(value, format);
  } catch {
    return say("notJson");
  }
}

function measured(message, part) {
  message.done_reason = part.done_reason ?? "stop";
  message.tokens_per_second = part.eval_duration ? part.eval_count / (part.eval_duration / 1e9) : undefined;
  message.tokens = (part.prompt_eval_count ?? 0) + (part.eval_count ?? 0);
}

/** The model's context in tokens; undefined if unknown. */
async function contextOf(model) {
  const loaded = await ask("/api/ps").catch(() => ({ models: [] }));
  return loaded.models.find(({ name }) => name === model)?.context_length;
}
