/**
 * Branches of a chat. `chat.messages` is the branch shown. Where it forks, the message at the fork has
 * `fork: {at, ways}`: every branch from there on, of which the `at`th is the one shown, and empty here.
 */

/** @typedef {import("./keep.js").Chat} Chat @typedef {import("./keep.js").Message} Message */

/** Puts `message` in the place of the `index`th; what stood from there on becomes another branch. @param {Chat} chat */
export function branch(chat, index, message) {
  const fork = chat.messages[index].fork ?? { at: 0, ways: [[]] };
  fork.ways.push([]);
  show(chat, index, fork, fork.ways.length - 1, [message]);
}

/** Shows the branch `step` further at the `index`th message. @param {Chat} chat */
export function walk(chat, index, step) {
  const { fork } = chat.messages[index];
  const at = fork.at + step;
  if (fork.ways[at]) show(chat, index, fork, at, fork.ways[at]);
}

/** Every message, of all branches. @param {Message[]} messages @returns {Message[]} */
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
