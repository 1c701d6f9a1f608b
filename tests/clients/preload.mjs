// Lets the guide's Node program run as it is printed: it calls `require` and awaits at the top, as one does at
// Node's prompt, and it names the default port, on which a test must not listen.
import { createRequire } from 'node:module'

globalThis.require = createRequire(import.meta.url)

const fetch = globalThis.fetch
globalThis.fetch = (url, options) =>
  fetch(String(url).replace('http://localhost:11434', process.env.OLLAMA_HOST), options)
