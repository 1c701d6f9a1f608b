/** One prompt to two or three models, their answers side by side, and a plot of their speed. */
import { answer } from "./answer.js";
import { Message } from "./message.js";
import { fresh } from "./storage.js";
import { html, useEffect, useState } from "./view.js";
import { say } from "./words.js";

const MOST = 3;

export function Compare({ models }) {
  const [chosen, setChosen] = useState([]);
  const [typed, setTyped] = useState("");
  const [chats, setChats] = useState([]);
  const [control, setControl] = useState();
  const [, draw] = useState(0);
  useEffect(() => () => control?.abort(), [control]);

  const choose = (name) => setChosen(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  async function run(event) {
    event.preventDefault();
    const running = new AbortController();
    const asked = chosen.map((model) => ({ ...fresh(model), messages: [{ role: "user", content: typed.trim() }] }));
    setControl(running);
    setChats(asked);
    // One after another: concurrent answers would share the processor and distort their speeds.
    for (const chat of asked) {
      if (running.signal.aborted) break;
      chat.messages.push({ role: "assistant", content: "" });
      await answer(chat, running.signal, () => draw((count) => count + 1));
    }
    setControl(undefined);
  }
  const answers = chats.map(({ model, messages }) => ({ model, message: messages[1] }));

  return html`<main class="compare"><h1>${say("compare")}</h1>
    <form onSubmit=${run}>
      <fieldset><legend>${say("compareWhich")}</legend>${models.map(({ name }) => html`<label>
        <input type="checkbox" checked=${chosen.includes(name)} disabled=${!chosen.includes(name) && chosen.length === MOST}
          onChange=${() => choose(name)} />${name}</label>`)}</fieldset>
      <textarea rows="2" aria-label=${say("message")} placeholder=${say("message")} value=${typed}
        onInput=${(event) => setTyped(event.target.value)}></textarea>
      ${control
        ? html`<button type="button" onClick=${() => control.abort()}>${say("stop")}</button>`
        : html`<button disabled=${chosen.length < 2 || !typed.trim()}>${say("compare")}</button>`}
    </form>
    <${Speeds} answers=${answers} />
    <div class="columns">${answers.map(({ model, message }, at) => html`<section aria-label=${model}><h2>${model}</h2>
      ${message && html`<${Message} message=${message} running=${control && answers.findLastIndex((one) => one.message) === at} />`}
    </section>`)}</div>
  </main>`;
}

/** A bar of tokens a second for each complete answer. */
function Speeds({ answers }) {
  const done = answers.filter(({ message }) => message?.tokens_per_second != null);
  if (!done.length) return null;
  const most = Math.max(...done.map(({ message }) => message.tokens_per_second));
  return html`<svg class="speeds" role="img" aria-label=${done.map(({ model, message }) => `${model}: ${message.tokens_per_second.toFixed(1)} tok/s`).join(", ")}
      viewBox="0 0 100 ${done.length * 8}">${done.map(({ model, message }, at) => html`
    <rect x="0" y=${at * 8 + 4} width=${(100 * message.tokens_per_second) / most} height="3" rx="1" />
    <text x="0" y=${at * 8 + 3}>${model} · ${message.tokens_per_second.toFixed(1)} tok/s</text>`)}</svg>`;
}
