/** A model's markdown as a fragment in which nothing can run: parsed, then sanitised, then coloured. */
import { marked } from "../vendored/marked.js";
import purify from "../vendored/dompurify.js";
import highlight from "../vendored/highlight.js";
import { say } from "./words.js";

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "title", "start", "align", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};

/** @param {string} text @returns {DocumentFragment} */
export function rendered(text) {
  const fragment = purify.sanitize(marked.parse(text, { async: false }), ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const each of fragment.querySelectorAll("[class]")) {
    if (!/^language-[\w+-]+$/.test(each.className)) each.removeAttribute("class");
  }
  fragment.querySelectorAll("pre > code").forEach(colour);
  return fragment;
}

function colour(code) {
  const source = code.textContent;
  const language = code.className.replace("language-", "");
  if (highlight.getLanguage(language)) code.innerHTML = highlight.highlight(source, { language }).value;
  const button = document.createElement("button");
  button.className = "copy-code";
  button.textContent = say("copy");
  button.onclick = async () => {
    await navigator.clipboard.writeText(source);
    button.textContent = say("copied");
  };
  code.parentElement.append(button);
}
