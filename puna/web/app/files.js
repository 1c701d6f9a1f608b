/** Exports chats as JSON, which can be imported again, and as Markdown for reading. */
import { FORMAT, upgraded } from "./formats.js";
import { unique } from "./storage.js";
import { say } from "./words.js";

/** @typedef {import("./storage.js").Chat} Chat */

/** A file has its chats' format, so that no earlier page drops what it does not know. @param {Chat[]} chats */
export const asJson = (chats) => JSON.stringify({ puna: FORMAT, chats }, null, 2);

/** @param {Chat} chat */
export const asMarkdown = ({ title, model: last, messages }) =>
  [`# ${title}`, ...messages.map(({ role, content, model = last }) => `## ${{ user: say("you"), assistant: model, tool: say("tool") }[role]}\n\n${content}`)].join("\n\n") + "\n";

/** The chats in an exported file, under new ids. Throws an Error with a message for the user. @returns {Chat[]} */
export function fromJson(text) {
  const { puna: format, chats } = parsed(text);
  if (format > FORMAT) throw new Error(say("newerFile"));
  if (!(format >= 1) || !chats.every(isChat)) throw new Error(say("noChats"));
  return chats.map(({ title, model, settings, changed, pinned, folder, messages }) => ({
    id: unique(), title, model, settings, changed, format: FORMAT,
    pinned: pinned === true, ...(folder && { folder }), messages: messages.map(clean),
  }));
}

/** A file's format and its chats, of which none is checked yet. */
function parsed(text) {
  try {
    const { puna, chats } = JSON.parse(text);
    if (puna > FORMAT) return { puna };
    if (chats.every(isWhole)) return { puna, chats: chats.map(upgraded) };
  } catch {
    // Whatever it is, it is none of ours.
  }
  throw new Error(say("noChats"));
}

/** Downloads a file to the user's machine. */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").trim() || "chat";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Upgrading fills in what a stored chat lacks; a file must have it. */
const isWhole = (chat) => ["title", "model", "changed", "messages"].every((name) => name in chat);
const isText = (value) => value === undefined || typeof value === "string";
const isNumber = (value) => value === undefined || typeof value === "number";
const isList = (value, isOne) => value === undefined || (Array.isArray(value) && value.every(isOne));
const isTexts = (value) => typeof value === "object" && value !== null && Object.values(value).every(isText);
const isBranch = (messages) => Array.isArray(messages) && messages.every(isMessage);

const isSettings = (settings) =>
  settings === undefined || (isTexts({ ...settings, options: undefined }) && isTexts(settings?.options ?? {}));

const isChat = (chat) =>
  [chat?.title, chat?.model].every((text) => typeof text === "string") && isText(chat.folder) &&
  isSettings(chat.settings) &&
  Number.isFinite(chat.changed) && isBranch(chat.messages);

const isMessage = (message) =>
  ["user", "assistant", "tool"].includes(message?.role) && typeof message.content === "string" &&
  [message.id, message.model, message.thinking, message.error, message.done_reason, message.schema_error, message.tool_name].every(isText) &&
  [message.tokens_per_second, message.time_to_first_token, message.thinking_seconds, message.tokens, message.context_length].every(isNumber) &&
  isList(message.attachments, isAttachment) && isList(message.tool_calls, isCall) && isFork(message.fork);

const isAttachment = (attachment) =>
  ["vision", "audio", "text"].includes(attachment?.kind) &&
  [attachment.name, attachment.type, attachment.data].every((text) => typeof text === "string") && isText(attachment.lacks);

const isCall = (call) =>
  typeof call?.function?.name === "string" && ["undefined", "object"].includes(typeof call.function.arguments);

/** Whether only the visible branch is empty in its fork. */
const isFork = (fork) =>
  fork === undefined || (Array.isArray(fork?.branches) && Boolean(fork.branches[fork.shown]) &&
    fork.branches.every((branch, at) => isBranch(branch) && (at === fork.shown) === (branch.length === 0)));

const FIELDS = ["id", "role", "model", "content", "attachments", "thinking", "thinking_seconds", "tool_calls", "tool_name", "tokens_per_second",
  "time_to_first_token", "tokens", "context_length", "error", "done_reason", "schema_error"];

/** A message's known fields only, because a file may hold anything. */
function clean(message) {
  const kept = Object.fromEntries(FIELDS.filter((name) => message[name] !== undefined).map((name) => [name, message[name]]));
  const { fork } = message;
  return fork ? { ...kept, fork: { shown: fork.shown, branches: fork.branches.map((branch) => branch.map(clean)) } } : kept;
}
