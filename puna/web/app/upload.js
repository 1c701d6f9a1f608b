/** Gives the server a file as a blob, under its digest. */
import { ask, reason, signed } from "./api.js";
import { say } from "./words.js";

/** What was computed is known when an upload that broke off is tried again. @type {WeakMap<File, string>} */
const digests = new WeakMap();

/** The file's digest, once the server has it. A file that it has is not sent again.
 * @param {File} file @param {AbortSignal} signal @param {(doing: string, part: number) => void} progress */
export async function upload(file, signal, progress) {
  if (!digests.has(file)) digests.set(file, await digestOf(file, signal, (part) => progress(say("reading"), part)));
  const digest = `sha256:${digests.get(file)}`;
  const there = await ask(`/api/blobs/${digest}`, undefined, "HEAD").then(() => true, () => false);
  if (!there) await put(file, digest, signal, (part) => progress(say("sending"), part));
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
function put(file, digest, signal, progress) {
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => { request.abort(); reject(signal.reason); });
    request.upload.onprogress = ({ loaded }) => progress(loaded / file.size);
    request.onload = () => (request.status < 300 ? resolve() : reject(new Error(reason(request.responseText))));
    request.onerror = () => reject(new Error(say("brokeOff")));
    request.open("POST", `/api/blobs/${digest}`);
    for (const [name, value] of Object.entries(signed())) request.setRequestHeader(name, value);
    request.send(file);
  });
}
