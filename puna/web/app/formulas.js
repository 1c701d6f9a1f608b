/** Renders formulas in Markdown, $…$, $$…$$, \(…\) and \[…\], as MathML. The first one loads Temml. */

/** @param {string} text as HTML that shows it */
export const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const INLINE = /^(?:\$\$([^$]+?)\$\$|\$(?![\s$])((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)|\\\(([\s\S]+?)\\\))/;
const BLOCK = /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;

// marked asks at every paragraph: searching on to the end of a long text each time would take its square.
const paragraph = (source) => { const end = source.indexOf("\n\n"); return end < 0 ? source : source.slice(0, end); };
const extension = (name, level, pattern, start) => ({
  name, level, start: (source) => { const at = paragraph(source).search(start); return at < 0 ? undefined : at; },
  tokenizer(source) {
    const found = pattern.exec(source);
    return found ? { type: name, raw: found[0], text: found.slice(1).find((text) => text !== undefined) } : undefined;
  },
  renderer({ text }) {
    const code = `<code class="${name}">${escaped(text.trim())}</code>`;
    return level === "block" ? `<p>${code}</p>` : code;
  },
});

/** The extension for marked. */
export const FORMULAS = [extension("formula", "inline", INLINE, /\$|\\\(/), extension("formula-block", "block", BLOCK, /^(?:\$\$|\\\[)/m)];

let temml;

/** Replaces a formula's source by MathML; the source stays until Temml is loaded. @param {HTMLElement} code */
export function set(code) {
  if (temml) replace(code);
  else import("../vendored/temml.js").then((loaded) => { temml = loaded.default; replace(code); }, () => {});
}

function replace(code) {
  const place = document.createElement(code.className === "formula" ? "span" : "div");
  place.className = code.className;
  // Untrusted: no links, images, classes or styles from the model.
  temml.render(code.textContent, place, { displayMode: code.className !== "formula", throwOnError: false, trust: false, maxExpand: 200 });
  code.replaceWith(place);
}
