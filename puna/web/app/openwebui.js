/** Chats that Open WebUI exported: a list, in which each chat's messages are a tree (`history` of its chat). */
import { FORMAT } from "./formats.js";
import { unique } from "./storage.js";

// It writes what an answer's model thought into the answer.
const REASONING = /<details type="reasoning"[\s\S]*?<\/details>\s*/g;
const PICTURE = /^data:(image\/[\w.+-]+);base64,(.+)$/s;

/** As chats of the present format; whether they are whole is checked by the caller. Texts and pictures only.
 * @param {any[]} exported @returns {import("./storage.js").Chat[]} */
export const fromOpenWebUi = (exported) => exported.map(({ title, updated_at: seconds, pinned, chat }) => ({
  title, model: chat.models?.[0] ?? "", settings: { ...(chat.params?.system && { system: chat.params.system }) },
  changed: seconds * 1000, format: FORMAT, pinned, messages: messagesOf(chat.history),
}));

function messagesOf({ messages, currentId }) {
  const visible = new Set();
  for (let id = currentId; messages[id] && !visible.has(id); id = messages[id].parentId) visible.add(id);
  const met = new Set();
  /** The messages from siblings on, of which one is on the visible branch. */
  function from(ids) {
    if (ids.some((id) => met.has(id))) throw new Error("no tree");
    ids.forEach((id) => met.add(id));
    const branches = ids.map((id) => [message(messages[id]), ...from(messages[id].childrenIds ?? [])]);
    if (branches.length < 2) return branches[0] ?? [];
    const shown = Math.max(0, ids.findIndex((id) => visible.has(id)));
    const [first, ...rest] = branches[shown];
    return [{ ...first, fork: { shown, branches: branches.with(shown, []) } }, ...rest];
  }
  return from(Object.keys(messages).filter((id) => !messages[id].parentId));
}

function message({ id, role, content, model, files = [] }) {
  const pictures = files.filter(({ url }) => PICTURE.test(url ?? "")).map(({ name, url }) => {
    const [, type, data] = PICTURE.exec(url);
    return { id: unique(), name: name ?? "", kind: "vision", type, data };
  });
  return {
    id, role, content: content.replace(REASONING, ""), ...(pictures.length && { attachments: pictures }),
    ...(role === "assistant" && { model, done_reason: "stop" }),
  };
}
