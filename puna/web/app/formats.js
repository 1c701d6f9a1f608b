/**
 * Upgrades chats that earlier pages stored. A chat has its format's number, except in the first two.
 * 1: `system` and `temperature` beside the messages. 2: `settings`. 3: every message has an `id`.
 */
import { every } from "./branches.js";

export const FORMAT = 3;

/** Data stored by a newer page. This page neither shows nor changes it. */
export class Newer extends Error {}

export const isNewer = (kept) => (kept.format ?? 0) > FORMAT;

/** Upgrades a chat. Two tabs that open an old chat give its messages the same ids. @returns {import("./storage.js").Chat} */
export function upgraded({ system, temperature, settings, ...kept }) {
  const first = { ...(system && { system }), ...(temperature && { options: { temperature: String(temperature) } }) };
  const chat = { title: "", model: "", changed: 0, messages: [], ...kept, settings: settings ?? first, format: FORMAT };
  every(chat.messages).forEach((message, at) => {
    message.id ??= String(at);
    message.content ??= "";
  });
  return chat;
}
