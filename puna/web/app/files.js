/** Chats as files: JSON, to be imported again, and Markdown, to be read. */
import { say } from "./words.js";

/** @typedef {import("./keep.js").Chat} Chat */

/** @param {Chat[]} chats */
export const asJson = (chats) => JSON.stringify({ puna: 1, chats }, null, 2);

/** @param {Chat} chat */
export const asMarkdown = ({ title, model, messages }) =>
  [`# ${title}`, ...messages.map(({ role, content }) => `## ${role === "user" ? say("you") : model}\n\n${content}`)].join("\n\n") + "\n";

/** The chats in an exported file, under new ids. Throws what is wrong, in words. @returns {Chat[]} */
export function fromJson(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error(say("noChats"));
  }
  if (file?.puna !== 1 || !Array.isArray(file.chats) || !file.chats.every(isChat)) throw new Error(say("noChats"));
  return file.chats.map(({ title, model, system, temperature, changed, pinned, messages }) => ({
    id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, title, model, system, temperature, changed,
    pinned: pinned === true, messages: messages.map(clean),
  }));
}

/** Gives the person a file to keep. */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").trim() || "chat";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const isChat = (chat) =>
  [chat?.title, chat?.model, chat?.system, chat?.temperature].every((text) => typeof text === "string") &&
  Number.isFinite(chat.changed) && Array.isArray(chat.messages) && chat.messages.every(isMessage);

const isMessage = (message) =>
  ["user", "assistant"].includes(message?.role) && typeof message.content === "string" &&
  [message.thinking, message.error].every((text) => ["undefined", "string"].includes(typeof text)) &&
  [message.rate, message.first, message.thoughtFor].every((number) => ["undefined", "number"].includes(typeof number)) &&
  (message.given === undefined || (Array.isArray(message.given) && message.given.every(isGiven)));

const isGiven = (given) =>
  ["vision", "audio", "text"].includes(given?.kind) &&
  [given.name, given.type, given.data].every((text) => typeof text === "string");

/** Only what a message has: a file may hold anything besides. */
const clean = ({ role, content, thinking, thoughtFor, rate, first, error, given }) =>
  Object.fromEntries(Object.entries({ role, content, thinking, thoughtFor, rate, first, error, given }).filter(([, value]) => value !== undefined));
