/** Merges two tabs' versions of a chat: it keeps all messages of both, on branches where they differ. */

/** @typedef {import("./storage.js").Chat} Chat @typedef {import("./storage.js").Message} Message */

/** Merges another tab's version into a chat. @param {Chat} chat @param {Chat} kept */
export function take(chat, kept) {
  Object.assign(chat, { ...kept, messages: merged(chat.messages, kept.messages) });
}

/** Adds to `mine` what only `theirs` has. The visible branch stays `mine`, continued by theirs where it ends.
 * Messages stay the same objects, because an answer may be streaming into one.
 * @param {Message[]} mine @param {Message[]} theirs @returns {Message[]} */
export function merged(mine, theirs) {
  let place = { list: theirs, from: 0 };
  const whole = mine.map((message) => {
    const fork = message.fork ?? { shown: 0, branches: [[]] };
    let kept = message;
    let next = { list: [], from: 0 };
    for (const branch of branchesAt(place)) {
      const head = branch.list[branch.from];
      if (isSame(head, message)) {
        kept = (head.changed ?? 0) > (message.changed ?? 0) ? head : message;
        next = { list: branch.list, from: branch.from + 1 };
      } else add(fork.branches, branch.list.slice(branch.from));
    }
    place = next;
    delete kept.fork;
    return fork.branches.length > 1 ? Object.assign(kept, { fork }) : kept;
  });
  return whole.concat(place.list.slice(place.from));
}

/** The starts of all branches that fork at a place. */
function branchesAt({ list, from }) {
  if (!list[from]) return [];
  const { fork } = list[from];
  return fork ? fork.branches.map((branch, at) => (at === fork.shown ? { list, from } : { list: branch, from: 0 })) : [{ list, from }];
}

function add(branches, [{ fork, ...head }, ...rest]) {
  const branch = [head, ...rest];
  const known = branches.findIndex(([first]) => first && isSame(first, head));
  if (known < 0) branches.push(branch);
  else branches[known] = merged(branches[known], branch);
}

/** A continued answer replaces the stopped one. */
const isSame = (one, other) => one.id === other.id || one.continues === other.id || other.continues === one.id;
