/** The running pulls, each with its speed. They continue while the user is elsewhere; fetched bytes stay. */
import { errorText, stream } from "./api.js";

/** @typedef {{name: string, status: string, completed: number, total: number, rate: number, control?: AbortController,
 *   error?: string}} Pull bytes, and bytes a second; without `control` it has stopped. */
/** @type {Map<string, Pull>} */
const known = new Map();
// Speed covers the last seconds only, so a resumed pull does not count earlier bytes.
const WINDOW_MS = 5000;

export const pulls = () => [...known.values()];
/** @param {string} name */
export const cancel = (name) => known.get(name)?.control?.abort();
/** @param {string} name */
export const dismiss = (name) => known.delete(name);

/** Pulls a model, or resumes its pull. @param {string} name @param {() => void} changed @param {() => void} done */
export async function pull(name, changed, done) {
  if (known.get(name)?.control) return;
  const state = { name, status: "", completed: 0, total: 0, rate: 0, control: new AbortController() };
  known.set(name, state);
  changed();
  try {
    const speed = meter();
    const blobs = new Map();
    const sum = (key) => [...blobs.values()].reduce((all, blob) => all + blob[key], 0);
    for await (const { status, digest, total = 0, completed = 0 } of stream("/api/pull", { model: name }, state.control.signal)) {
      if (digest) blobs.set(digest, { total, completed });
      Object.assign(state, { status, completed: sum("completed"), total: sum("total") });
      state.rate = speed(state.completed);
      changed();
    }
    known.delete(name);
    done();
  } catch (error) {
    if (error.name !== "AbortError") state.error = errorText(error);
    delete state.control;
  }
  changed();
}

/** Bytes a second over the last seconds, given the current count. */
function meter() {
  const seen = [];
  return (completed) => {
    const now = performance.now();
    seen.push({ at: now, completed });
    while (seen[0].at < now - WINDOW_MS) seen.shift();
    const seconds = (now - seen[0].at) / 1000;
    return seconds > 0 ? (completed - seen[0].completed) / seconds : 0;
  };
}
