/** Turns a Modelfile into the fields of POST /api/create (Ollama docs, modelfile.md; api.md, Create a Model). */
import { say } from "./words.js";

const WORD = /^[ \t]*(?:"""([\s\S]*?)"""|"((?:[^"\\\n]|\\.)*)"|([^\n]*))[ \t]*(?:\n|$)/;

const TEXTS = ["TEMPLATE", "SYSTEM", "RENDERER", "PARSER", "REQUIRES"];
const IS_FILE = /^[./~]|\.(?:gguf|safetensors|bin)$/i;

/** `files` maps names of attached files to digests; FROM and ADAPTER may name one.
 * Throws an Error with a message for the user. @param {string} text @param {Record<string, string>} files */
export function fields(text, files) {
  const body = {};
  for (const { command, value, line } of commands(text.replaceAll("\r\n", "\n"))) {
    const wrong = (why) => new Error(`${say("line")} ${line}: ${why}`);
    if (command === "FROM") {
      if (source(body, "files", value, files)) continue;
      if (IS_FILE.test(value)) throw wrong(`${value} ${say("notAttached")}`);
      body.from = value;
    } else if (command === "ADAPTER") {
      if (!source(body, "adapters", value, files)) throw wrong(`${value} ${say("notAttached")}`);
    } else if (TEXTS.includes(command)) body[command.toLowerCase()] = value;
    else if (command === "LICENSE") (body.license ??= []).push(value);
    else if (command === "PARAMETER") parameter(body, value, wrong);
    else if (command === "MESSAGE") message(body, value, wrong);
    else throw wrong(`${command} ${say("noCommand")}`);
  }
  if (!body.from && !body.files) throw new Error(say("noFrom"));
  return body;
}

/** The commands of a Modelfile, their values unquoted. */
function* commands(text) {
  let at = 0;
  const lineAt = (place) => text.slice(0, place).split("\n").length;
  while (at < text.length) {
    const [blank] = /^(?:[ \t]*(?:#[^\n]*)?\n|[ \t]*(?:#[^\n]*)?$)?/.exec(text.slice(at));
    if (blank) { at += blank.length; continue; }
    const head = /^[ \t]*(\S+)/.exec(text.slice(at));
    if (!head) return;
    const line = lineAt(at);
    const command = head[1].toUpperCase();
    at += head[0].length;
    // The value after a PARAMETER's name or a MESSAGE's role may also be quoted.
    const name = ["PARAMETER", "MESSAGE"].includes(command) ? (/^[ \t]+(\S+)/.exec(text.slice(at)) ?? [""]) : [""];
    at += name[0].length;
    const found = WORD.exec(text.slice(at));
    at += found[0].length;
    if (found[3]?.startsWith('"""')) throw new Error(`${say("line")} ${line}: ${say("unclosed")}`);
    const value = found[1] ?? found[2]?.replace(/\\(["\\])/g, "$1") ?? found[3].trim();
    yield { command, line, value: name[1] ? { name: name[1], value } : value };
  }
}

function source(body, field, value, files) {
  const name = value.split("/").at(-1);
  if (!files[name]) return false;
  (body[field] ??= {})[name] = files[name];
  return true;
}

function parameter(body, { name, value }, wrong) {
  if (!name || value === "") throw wrong(say("noValue"));
  const parameters = (body.parameters ??= {});
  if (name === "stop") (parameters.stop ??= []).push(value);
  else parameters[name] = value === "true" || value === "false" ? value === "true" : Number.isNaN(Number(value)) ? value : Number(value);
}

function message(body, { name, value }, wrong) {
  if (!["system", "user", "assistant"].includes(name)) throw wrong(`MESSAGE ${name ?? ""}: system, user, assistant`);
  (body.messages ??= []).push({ role: name, content: value });
}
