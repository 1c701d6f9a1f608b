/** A chat's settings: every option of the API as the user typed it, and the request's fields for them. */
import { wrongSchema } from "./schema.js";
import { say } from "./words.js";

/** @typedef {{system?: string, think?: string, keep_alive?: string, format?: string, tools?: string,
 *   options?: Record<string, string>}} Settings unset or "" means the server's default */

/** The options and their kinds (docs/api.md, Options). */
export const OPTIONS = {
  temperature: "number", top_k: "integer", top_p: "number", min_p: "number", typical_p: "number", seed: "integer",
  num_predict: "integer", stop: "lines", repeat_penalty: "number", repeat_last_n: "integer", presence_penalty: "number",
  frequency_penalty: "number", mirostat: "integer", mirostat_tau: "number", mirostat_eta: "number", num_ctx: "integer",
  num_keep: "integer", num_batch: "integer", num_thread: "integer", num_gpu: "integer", main_gpu: "integer",
  tensor_split: "numbers", override_tensor: "lines", n_cpu_moe: "integer", replicas: "integer", use_mmap: "boolean",
  kv_cache_type: "text", draft_num_predict: "integer",
};
export const THINK = ["true", "false", "low", "medium", "high"];

/** The fields of a request. Throws an Error with a message for the user. @param {Settings} settings */
export function requested(settings) {
  const { think, keep_alive: keep, format, tools, options = {} } = settings;
  const chosen = Object.entries(OPTIONS).filter(([name]) => options[name]?.trim());
  return {
    options: Object.fromEntries(chosen.map(([name, kind]) => [name, value(kind, options[name])])),
    ...(think && { think: think === "true" || think === "false" ? think === "true" : think }),
    ...(keep?.trim() && { keep_alive: /^-?\d+$/.test(keep.trim()) ? Number(keep) : keep.trim() }),
    ...(format?.trim() && { format: schemaOf(format) }),
    ...(tools?.trim() && { tools: json(tools, "tools", Array.isArray) }),
  };
}

/** Why `text` is no valid format; "" when it is one. @param {string} text */
export function wrongFormat(text) {
  try {
    schemaOf(text);
    return "";
  } catch (error) {
    return error.message;
  }
}

/** "json" or a schema. Throws an Error with a message for the user. @param {string} text */
export function schemaOf(text) {
  if (["json", '"json"'].includes(text.trim())) return "json";
  const schema = json(text, "JSON Schema", (read) => typeof read === "object" && read && !Array.isArray(read));
  const wrong = wrongSchema(schema);
  if (wrong) throw new Error(`JSON Schema: ${wrong}`);
  return schema;
}

function json(text, what, right) {
  let read;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new Error(`${what}: ${error.message}`);
  }
  if (!right(read)) throw new Error(`${what}: ${say("otherJson")}`);
  return read;
}

function value(kind, text) {
  if (kind === "lines") return text.split("\n").filter(Boolean);
  if (kind === "numbers") return text.split(/[\s,]+/).filter(Boolean).map(Number);
  if (kind === "boolean") return text === "true";
  return kind === "text" ? text.trim() : Number(text);
}
