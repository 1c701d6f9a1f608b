/** Renders a model's Markdown safely: parsed, sanitised, then highlighted. */
import { Marked } from "../vendored/marked.js";
import purify from "../vendored/dompurify.js";
import highlight from "../vendored/highlight.js";
import { copy } from "./clipboard.js";
import { FORMULAS, escaped, set } from "./formulas.js";
import { say } from "./words.js";

const TAGS = ["p", "br", "hr", "em", "strong", "b", "i", "u", "s", "del", "mark", "sub", "sup", "kbd", "code", "pre", "blockquote",
  "ul", "ol", "li", "a", "h1", "h2", "h3", "h4", "h5", "h6", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"];
const ALLOWED = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "title", "start", "align", "colspan", "rowspan", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  // The pattern above is for addresses; these hold none.
  ADD_URI_SAFE_ATTR: ["start", "align", "colspan", "rowspan"],
  RETURN_DOM_FRAGMENT: true,
};
// Longer code stays plain: colours would hold up typing while it grows.
const COLOURED = 50_000;
const OTHER_TAG = new RegExp(`<(?!/?(?:${TAGS.join("|")})(?![\\w-]))`, "gi");
const marked = new Marked({
  extensions: FORMULAS,
  renderer: {
    // An answer about HTML names tags outside code, too: they are text, not lost.
    html: ({ text }) => text.replace(OTHER_TAG, "&lt;"),
    // A picture would tell another machine who reads this; whoever wants it follows the link.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});
/** The content of each place: its blocks, their nodes, and the link targets that they may use. */
const shown = new WeakMap();

/** Shows `text` in `place`. Unchanged blocks stay, so a growing text costs only its last block.
 * @param {Element} place @param {string} text */
export function draw(place, text) {
  const tokens = marked.lexer(text);
  const links = JSON.stringify(tokens.links);
  const before = shown.get(place);
  const known = before?.links === links ? before.blocks : [];
  let same = 0;
  while (same < known.length && same < tokens.length && known[same].raw === tokens[same].raw) same++;
  if (!known.length) place.replaceChildren();
  for (const { nodes } of known.slice(same)) nodes.forEach((node) => node.remove());
  const blocks = known.slice(0, same);
  for (const token of tokens.slice(same)) {
    const fragment = safe(marked.parser([token]));
    blocks.push({ raw: token.raw, nodes: [...fragment.childNodes] });
    place.append(fragment);
  }
  shown.set(place, { links, blocks });
}

/** @param {string} text @returns {DocumentFragment} */
export const rendered = (text) => safe(marked.parse(text, { async: false }));

function safe(source) {
  const fragment = purify.sanitize(source, ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const each of fragment.querySelectorAll("[class]")) {
    if (!/^(?:language-[\w+-]+|formula(?:-block)?)$/.test(each.className)) each.removeAttribute("class");
  }
  // Each block has the direction of its own language.
  for (const block of fragment.children) block.dir = "auto";
  fragment.querySelectorAll("pre > code").forEach(colour);
  fragment.querySelectorAll("code.formula, code.formula-block").forEach(set);
  return fragment;
}

function colour(code) {
  const source = code.textContent;
  const language = code.className.replace("language-", "");
  if (source.length <= COLOURED && highlight.getLanguage(language)) code.innerHTML = highlight.highlight(source, { language }).value;
  const button = document.createElement("button");
  button.className = "copy-code";
  button.textContent = say("copy");
  button.onclick = async () => {
    await copy(source);
    button.textContent = say("copied");
  };
  const block = code.parentElement;
  block.dir = "ltr";
  block.dataset.language = language;
  block.append(button);
}
