/** Creates a model from a Modelfile that is edited here, or a dropped GGUF file. */
import { errorText, stream } from "./api.js";
import { fields } from "./modelfile.js";
import { upload } from "./upload.js";
import { html, useState } from "./view.js";
import { say } from "./words.js";

const FIRST = "FROM \n# PARAMETER temperature 0.7\n# SYSTEM You are brief.\n";

export function Create({ done }) {
  const [name, setName] = useState("");
  const [text, setText] = useState(FIRST);
  const [files, setFiles] = useState([]);
  const [state, setState] = useState({});
  const { control, doing, part, error } = state;

  function attach(chosen) {
    const added = [...chosen];
    if (!added.length) return;
    setFiles((before) => [...before.filter((old) => !added.some(({ name: one }) => one === old.name)), ...added]);
    // The first file fills an empty FROM.
    setText((before) => before.replace(/^FROM[ \t]*$/m, `FROM ${added[0].name}`));
    setName((before) => before || added[0].name.replace(/\.gguf$/i, "").toLowerCase().replace(/[^a-z0-9._-]+/g, "-"));
  }
  async function make(event) {
    event.preventDefault();
    const running = new AbortController();
    const tell = (now, how) => setState({ control: running, doing: now, part: how });
    try {
      // Check the text before sending a large file.
      fields(text, Object.fromEntries(files.map((file) => [file.name, "attached"])));
      const digests = {};
      for (const file of files) digests[file.name] = await upload(file, running.signal, tell);
      tell(say("making"));
      const body = { model: name.trim(), ...fields(text, digests) };
      for await (const { status } of stream("/api/create", body, running.signal)) tell(status);
      setState({ doing: say("made") });
      await done();
    } catch (failure) {
      setState(failure.name === "AbortError" ? {} : { error: errorText(failure) });
    }
  }
  const drop = (event) => { event.preventDefault(); attach(event.dataTransfer.files); };
  return html`<details class="create" onDragOver=${(event) => event.preventDefault()} onDrop=${drop}><summary>${say("create")}</summary>
    <form onSubmit=${make}>
      <input aria-label=${say("createName")} placeholder=${say("createName")} value=${name} onInput=${(event) => setName(event.target.value)} />
      <textarea class="code" rows="6" spellcheck=${false} aria-label="Modelfile" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
      <label class="quiet attach">+ ${say("dropGguf")}<input type="file" multiple accept=".gguf" aria-label=${say("dropGguf")}
        onChange=${(event) => { attach(event.target.files); event.target.value = ""; }} /></label>
      <ul class="attachments">${files.map((file) => html`<li>${file.name}
        <button type="button" class="quiet" aria-label=${`${say("remove")}: ${file.name}`} onClick=${() => setFiles(files.filter((one) => one !== file))}>✕</button></li>`)}</ul>
      ${control
        ? html`<button type="button" onClick=${() => control.abort()}>${say("cancel")}</button>`
        : html`<button disabled=${!name.trim()}>${say("make")}</button>`}
      ${control && html`<progress aria-label=${say("create")} max="1" value=${part}></progress>`}
      ${doing && html`<small role="status">${doing}</small>`}
      ${error && html`<p class="error" role="alert">${error}</p>`}
    </form></details>`;
}
