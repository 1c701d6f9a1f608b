/**
 * Upgrades chats that earlier pages stored. A chat has its format's number, except in the first two.
 * 1: `system` and `temperature` beside the messages. 2: `settings`. 3: every message has an `id`.
 * 4: a message's fields have the names of the API, a fork has `branches`. 5: attachments have an `id`; stored in parts.
 */
import { every } from "./branches.js";

export const FORMAT = 5;

const RENAMED = {
  given: "attachments", calls: "tool_calls", tool: "tool_name", ended: "done_reason", window: "context_length", misfit: "schema_error",
  thoughtFor: "thinking_seconds", rate: "tokens_per_second", first: "time_to_first_token",
};

/** Data stored by a newer page. This page neither shows nor changes it. */
export class Newer extends Error {}

export const isNewer = (kept) => (kept.format ?? 0) > FORMAT;

/** Upgrades a chat. Two tabs that open an old chat give its messages the same ids. @returns {import("./storage.js").Chat} */
export function upgraded({ system, temperature, settings, ...kept }) {
  const first = { ...(system && { system }), ...(temperature && { options: { temperature: String(temperature) } }) };
  const chat = { title: "", model: "", changed: 0, messages: [], ...kept, settings: settings ?? first, format: FORMAT };
  if ((kept.format ?? 0) < 4) chat.messages = chat.messages.map(renamed);
  every(chat.messages).forEach((message, at) => {
    message.id ??= String(at);
    message.content ??= "";
    message.attachments?.forEach((attachment, one) => { attachment.id ??= `${message.id} ${one}`; });
  });
  return chat;
}

function renamed({ fork, ...message }) {
  const now = Object.fromEntries(Object.entries(message).map(([name, value]) => [RENAMED[name] ?? name, value]));
  return fork ? { ...now, fork: { shown: fork.at, branches: fork.ways.map((branch) => branch.map(renamed)) } } : now;
}
