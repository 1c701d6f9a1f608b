/** Exports chats as JSON, which can be imported again, and as Markdown for reading. */
import { upgraded } from "./formats.js";
import { unique } from "./storage.js";
import { say } from "./words.js";

/** @typedef {import("./storage.js").Chat} Chat */

/** @param {Chat[]} chats */
export const asJson = (chats) => JSON.stringify({ puna: 1, chats }, null, 2);

/** @param {Chat} chat */
export const asMarkdown = ({ title, model, messages }) =>
  [`# ${title}`, ...messages.map(({ role, content }) => `## ${{ user: say("you"), assistant: model, tool: say("tool") }[role]}\n\n${content}`)].join("\n\n") + "\n";

/** The chats in an exported file, under new ids. Throws an Error with a message for the user. @returns {Chat[]} */
export function fromJson(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error(say("noChats"));
  }
  if (file?.puna > 1) throw new Error(say("newerFile"));
  if (file?.puna !== 1 || !Array.isArray(file.chats) || !file.chats.every(isChat)) throw new Error(say("noChats"));
  return file.chats.map(({ title, model, system, temperature, settings, changed, pinned, folder, messages }) => upgraded({
    id: unique(), title, model, system, temperature, settings, changed,
    pinned: pinned === true, ...(folder && { folder }), messages: messages.map(clean),
  }));
}

/** Downloads a file to the user's machine. */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").trim() || "chat";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const isText = (value) => value === undefined || typeof value === "string";
const isNumber = (value) => value === undefined || typeof value === "number";
const isList = (value, isOne) => value === undefined || (Array.isArray(value) && value.every(isOne));
const isTexts = (value) => typeof value === "object" && value !== null && Object.values(value).every(isText);
const isWay = (way) => Array.isArray(way) && way.every(isMessage);

const isSettings = (settings) =>
  settings === undefined || (isTexts({ ...settings, options: undefined }) && isTexts(settings?.options ?? {}));

const isChat = (chat) =>
  [chat?.title, chat?.model].every((text) => typeof text === "string") && [chat.folder, chat.system].every(isText) &&
  isSettings(chat.settings) &&
  Number.isFinite(chat.changed) && isWay(chat.messages);

const isMessage = (message) =>
  ["user", "assistant", "tool"].includes(message?.role) && typeof message.content === "string" &&
  [message.thinking, message.error, message.ended, message.misfit, message.tool].every(isText) &&
  [message.rate, message.first, message.thoughtFor, message.tokens, message.window].every(isNumber) &&
  isList(message.given, isAttachment) && isList(message.calls, isCall) && isFork(message.fork);

const isAttachment = (attachment) =>
  ["vision", "audio", "text"].includes(attachment?.kind) &&
  [attachment.name, attachment.type, attachment.data].every((text) => typeof text === "string") && isText(attachment.lacks);

const isCall = (call) =>
  typeof call?.function?.name === "string" && ["undefined", "object"].includes(typeof call.function.arguments);

/** Whether only the visible branch is empty in its fork. */
const isFork = (fork) =>
  fork === undefined || (Array.isArray(fork?.ways) && Boolean(fork.ways[fork.at]) &&
    fork.ways.every((way, at) => isWay(way) && (at === fork.at) === (way.length === 0)));

const FIELDS = ["role", "content", "thinking", "thoughtFor", "calls", "rate", "first", "tokens", "window", "error", "ended", "given", "misfit", "tool"];

/** A message's known fields only, because a file may hold anything. */
function clean(message) {
  const kept = Object.fromEntries(FIELDS.filter((name) => message[name] !== undefined).map((name) => [name, message[name]]));
  const { fork } = message;
  return fork ? { ...kept, fork: { at: fork.at, ways: fork.ways.map((way) => way.map(clean)) } } : kept;
}
