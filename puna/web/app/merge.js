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
    const fork = message.fork ?? { at: 0, ways: [[]] };
    let kept = message;
    let next = { list: [], from: 0 };
    for (const way of waysAt(place)) {
      const head = way.list[way.from];
      if (isSame(head, message)) {
        kept = (head.changed ?? 0) > (message.changed ?? 0) ? head : message;
        next = { list: way.list, from: way.from + 1 };
      } else add(fork.ways, way.list.slice(way.from));
    }
    place = next;
    delete kept.fork;
    return fork.ways.length > 1 ? Object.assign(kept, { fork }) : kept;
  });
  return whole.concat(place.list.slice(place.from));
}

/** The starts of all branches that fork at a place. */
function waysAt({ list, from }) {
  if (!list[from]) return [];
  const { fork } = list[from];
  return fork ? fork.ways.map((way, at) => (at === fork.at ? { list, from } : { list: way, from: 0 })) : [{ list, from }];
}

function add(ways, [{ fork, ...head }, ...rest]) {
  const way = [head, ...rest];
  const known = ways.findIndex(([first]) => first && isSame(first, head));
  if (known < 0) ways.push(way);
  else ways[known] = merged(ways[known], way);
}

/** A continued answer replaces the stopped one. */
const isSame = (one, other) => one.id === other.id || one.continues === other.id || other.continues === one.id;
