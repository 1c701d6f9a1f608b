/** Gives the server a file as a blob, under its digest. */
import { reason, request, signed } from "./api.js";
import { say } from "./words.js";

/** What was computed is known when an upload that broke off is tried again. @type {WeakMap<File, string>} */
const digests = new WeakMap();

/** The file's digest, once the server has it. What the server has of it is not sent again.
 * @param {File} file @param {AbortSignal} signal @param {(doing: string, part: number) => void} progress */
export async function upload(file, signal, progress) {
  if (!digests.has(file)) digests.set(file, await digestOf(file, signal, (part) => progress(say("reading"), part)));
  const digest = `sha256:${digests.get(file)}`;
  const there = await request(`/api/blobs/${digest}`, { method: "HEAD" });
  const offset = Number(there.headers.get("Upload-Offset"));
  if (!there.ok) await put(file, digest, offset, signal, (part) => progress(say("sending"), part));
  return digest;
}

function digestOf(file, signal, progress) {
  const worker = new Worker(new URL("./sha256.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    worker.onmessage = ({ data: { read, digest, error } }) => {
      if (error) reject(new Error(`${file.name}: ${error}`));
      else if (digest) resolve(digest);
      else progress(read / file.size);
    };
    worker.onerror = () => reject(new Error(file.name));
    worker.postMessage(file);
  }).finally(() => worker.terminate());
}

/** By XMLHttpRequest, because fetch does not say how much it has sent. */
function put(file, digest, offset, signal, progress) {
  const sent = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => { sent.abort(); reject(signal.reason); });
    sent.upload.onprogress = ({ loaded }) => progress((offset + loaded) / file.size);
    sent.onload = () => (sent.status < 300 ? resolve() : reject(new Error(reason(sent.responseText))));
    sent.onerror = () => reject(new Error(say("brokeOff")));
    sent.open("POST", `/api/blobs/${digest}`);
    for (const [name, value] of Object.entries({ ...signed(), "Upload-Offset": offset })) sent.setRequestHeader(name, value);
    sent.send(file.slice(offset));
  });
}
