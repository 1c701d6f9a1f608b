// What a Node program may do besides the guide's: prints one JSON object of what it saw.
import { Ollama } from 'ollama'

const ollama = new Ollama({ host: process.env.OLLAMA_HOST })
const ask = (model) => ({ model, messages: [{ role: 'user', content: 'Hello' }] })
const seen = {}

const stream = await ollama.chat({ ...ask('scripted'), stream: true })
seen.streamed = []
for await (const part of stream) seen.streamed.push(part)

seen.aborted = { parts: 0 }
try {
  for await (const _ of await ollama.chat({ ...ask('endless'), stream: true })) {
    if (++seen.aborted.parts === 3) ollama.abort()
  }
} catch (error) {
  seen.aborted.error = error.name
}

seen.embedded = await ollama.embed({ model: 'qwen3-embedding', input: ['sky', '天空'] })
seen.tags = (await ollama.list()).models.map((model) => model.name).sort()
try {
  await ollama.chat(ask('no-such-model'))
} catch (error) {
  seen.refused = { name: error.name, status: error.status_code, message: error.message }
}
console.log(JSON.stringify(seen))
