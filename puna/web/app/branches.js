/**
 * Branches of a chat. `chat.messages` is the visible branch. A message where it forks has `fork: {at, ways}`:
 * all branches from there on. The `at`th one is the visible one, and is empty in `ways`.
 */

/** @typedef {import("./storage.js").Chat} Chat @typedef {import("./storage.js").Message} Message */

/** Replaces the `index`th message by `message`; the old messages from there on become another branch. @param {Chat} chat */
export function branch(chat, index, message) {
  const fork = chat.messages[index].fork ?? { at: 0, ways: [[]] };
  fork.ways.push([]);
  show(chat, index, fork, fork.ways.length - 1, [message]);
}

/** Moves `step` branches further at the `index`th message. @param {Chat} chat */
export function walk(chat, index, step) {
  const { fork } = chat.messages[index];
  const at = fork.at + step;
  if (fork.ways[at]) show(chat, index, fork, at, fork.ways[at]);
}

/** The messages of all branches. @param {Message[]} messages @returns {Message[]} */
export const every = (messages) =>
  messages.flatMap((message) => [message, ...(message.fork?.ways ?? []).flatMap(every)]);

function show(chat, index, fork, at, way) {
  const left = chat.messages.splice(index);
  delete left[0].fork;
  fork.ways[fork.at] = left;
  fork.ways[at] = [];
  way[0].fork = fork;
  fork.at = at;
  chat.messages.push(...way);
}
