/** Uploads a file to the server as a blob. */
import { reason, request, signed } from "./api.js";
import { say } from "./words.js";

/** Digests already computed, for retries of interrupted uploads. @type {WeakMap<File, string>} */
const digests = new WeakMap();

/** Uploads the file and returns its digest. Bytes that the server has are not sent again.
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

/** Uses XMLHttpRequest, because fetch does not report upload progress. */
function put(file, digest, offset, signal, progress) {
  const sent = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => { sent.abort(); reject(signal.reason); });
    sent.upload.onprogress = ({ loaded }) => progress((offset + loaded) / file.size);
    sent.onload = () => (sent.status < 300 ? resolve() : reject(new Error(reason(sent.responseText, sent.status))));
    sent.onerror = () => reject(new Error(say("brokeOff")));
    sent.open("POST", `/api/blobs/${digest}`);
    for (const [name, value] of Object.entries({ ...signed(), "Upload-Offset": offset })) sent.setRequestHeader(name, value);
    sent.send(file.slice(offset));
  });
}
