/** The messages of a chat. */
import { Blocks } from "./blocks.js";
import { Message } from "./message.js";
import { html } from "./view.js";

/** @param {{messages: import("./storage.js").Message[], running?: import("./storage.js").Message, editing: number,
 *   acts: (at: number) => object, place: {current: Element}}} shown `acts` returns a message's actions */
export function Messages({ messages, running, editing, acts, place }) {
  const draw = (at) => html`<${Message} key=${at} message=${messages[at]} running=${messages[at] === running}
    editing=${at === editing} ...${acts(at)} />`;
  return html`<${Blocks} count=${messages.length} place=${place} draw=${draw} kept=${editing} />`;
}
