/**
 * Branches of a chat. `chat.messages` is the visible branch. A message where it forks has `fork: {shown, branches}`:
 * all branches from there on. The `shown`th one is the visible one, and is empty in `branches`.
 */

/** @typedef {import("./storage.js").Chat} Chat @typedef {import("./storage.js").Message} Message */

/** Replaces the `index`th message by `message`; the old messages from there on become another branch. @param {Chat} chat */
export function branch(chat, index, message) {
  const fork = chat.messages[index].fork ?? { shown: 0, branches: [[]] };
  fork.branches.push([]);
  show(chat, index, fork, fork.branches.length - 1, [message]);
}

/** Moves `step` branches further at the `index`th message. @param {Chat} chat */
export function walk(chat, index, step) {
  const { fork } = chat.messages[index];
  const at = fork.shown + step;
  if (fork.branches[at]) show(chat, index, fork, at, fork.branches[at]);
}

/** The messages of all branches. @param {Message[]} messages @returns {Message[]} */
export const every = (messages) =>
  messages.flatMap((message) => [message, ...(message.fork?.branches ?? []).flatMap(every)]);

/** Copies of messages, on all branches, as `change` makes them; it is given each without its fork.
 * @param {Message[]} messages @param {(message: Message) => Message} change @returns {Message[]} */
export const mapped = (messages, change) => messages.map(({ fork, ...message }) => ({
  ...change(message), ...(fork && { fork: { shown: fork.shown, branches: fork.branches.map((branch) => mapped(branch, change)) } }),
}));

function show(chat, index, fork, at, branched) {
  const left = chat.messages.splice(index);
  delete left[0].fork;
  fork.branches[fork.shown] = left;
  fork.branches[at] = [];
  branched[0].fork = fork;
  fork.shown = at;
  chat.messages.push(...branched);
}
