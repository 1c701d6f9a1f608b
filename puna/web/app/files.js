/** Exports chats as JSON, which can be imported again, and as Markdown for reading. Imports Open WebUI's, too. */
import { mapped } from "./branches.js";
import { FORMAT, upgraded } from "./formats.js";
import { lines } from "./lines.js";
import { fromOpenWebUi } from "./openwebui.js";
import { unique } from "./storage.js";
import { say } from "./words.js";

/** @typedef {import("./storage.js").Chat} Chat */

// A chat a line, so that one at a time is written and read: all may be longer than a text can be, or than the memory.
const BEGINNING = /^\{"puna": \d+, "chats": \[\n/;
const END = "]}";

/** A file has its chats' format, so that no earlier page drops what it does not know. @param {(() => Promise<Chat>)[]} loads */
export async function asJson(loads) {
  const texts = [];
  for (const load of loads) {
    const chat = await load();
    // Another tab may have deleted it.
    if (chat) texts.push(new Blob([texts.length ? ",\n" : "", JSON.stringify(chat)]));
  }
  return new Blob([`{"puna": ${FORMAT}, "chats": [\n`, ...texts, `\n${END}\n`], { type: "application/json" });
}

/** @param {Chat} chat */
export const asMarkdown = ({ title, model: last, messages }) => new Blob([
  [`# ${title}`, ...messages.map(({ role, content, model = last }) => `## ${{ user: say("you"), assistant: model, tool: say("tool") }[role]}\n\n${content}`)].join("\n\n"), "\n",
], { type: "text/markdown" });

/** Yields the chats in an exported file, under new ids. Throws an Error with a message for the user.
 * @param {Blob} file @returns {AsyncGenerator<Chat>} */
export async function* chatsOf(file) {
  if (!BEGINNING.test(await file.slice(0, 64).text())) yield* fromJson(await file.text());
  else {
    let first, last;
    for await (const line of lines(file.stream())) {
      const chat = first && line !== END ? line.replace(/,$/, "") : "";
      first ??= line;
      last = line;
      yield* fromJson(first + chat + END);
    }
    if (last !== END) throw new Error(say("noChats"));
  }
}

function fromJson(text) {
  const { puna: format, chats } = parsed(text);
  if (format > FORMAT) throw new Error(say("newerFile"));
  if (!(format >= 1) || !chats.every(isChat)) throw new Error(say("noChats"));
  return chats.map(({ title, model, settings, changed, pinned, folder, messages }) => ({
    id: unique(), title, model, settings, changed, format: FORMAT,
    pinned: pinned === true, ...(folder && { folder }), messages: mapped(messages, clean),
  }));
}

/** A file's format and its chats, of which none is checked yet. */
function parsed(text) {
  try {
    const read = JSON.parse(text);
    const { puna, chats } = Array.isArray(read) && read.length ? { puna: FORMAT, chats: fromOpenWebUi(read) } : read;
    if (puna > FORMAT) return { puna };
    if (chats.every(isWhole)) return { puna, chats: chats.map(upgraded) };
  } catch {
    // Whatever it is, it is none of ours.
  }
  throw new Error(say("noChats"));
}

/** Downloads a file to the user's machine. @param {string} name @param {Blob} content */
export function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
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
  [attachment.id, attachment.name, attachment.type, attachment.data].every((text) => typeof text === "string") && isText(attachment.lacks);

const isCall = (call) =>
  typeof call?.function?.name === "string" && ["undefined", "object"].includes(typeof call.function.arguments);

/** Whether only the visible branch is empty in its fork. */
const isFork = (fork) =>
  fork === undefined || (Array.isArray(fork?.branches) && Boolean(fork.branches[fork.shown]) &&
    fork.branches.every((branch, at) => isBranch(branch) && (at === fork.shown) === (branch.length === 0)));

const FIELDS = ["id", "role", "model", "content", "attachments", "thinking", "thinking_seconds", "tool_calls", "tool_name", "tokens_per_second",
  "time_to_first_token", "tokens", "context_length", "error", "done_reason", "schema_error"];

/** A message's known fields only, because a file may hold anything. */
const clean = (message) => Object.fromEntries(FIELDS.filter((name) => message[name] !== undefined).map((name) => [name, message[name]]));
