// What the Vercel AI SDK sees through its Ollama provider, its OpenAI-compatible one and that of OpenAI itself, which
// asks for responses and names what it was told by ids: prints one JSON object.
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { Output, embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'
import { z } from 'zod'

const host = process.env.OLLAMA_HOST
const ollama = createOllama({ baseURL: `${host}/api` })
const responses = createOpenAI({ baseURL: `${host}/v1`, apiKey: 'any' })
const compatible = createOpenAICompatible({
  name: 'puna',
  baseURL: `${host}/v1`,
  includeUsage: true,
  supportsStructuredOutputs: true,
})
const place = z.object({ city: z.string(), days: z.number().int() })

async function seenThrough(provider, embedding, options) {
  const [actor, thinker] = [provider('actor'), provider('thinker')]
  const seen = {}

  const whole = await generateText({ model: actor, prompt: 'Hello' })
  seen.generated = { text: whole.text, reason: whole.finishReason, tokens: whole.usage.outputTokens }

  const stream = streamText({ model: actor, prompt: 'Hello' })
  seen.parts = []
  for await (const part of stream.textStream) seen.parts.push(part)
  seen.streamedTokens = (await stream.usage).outputTokens

  const thought = await generateText({ model: thinker, prompt: 'Why?', providerOptions: options })
  seen.thought = { reasoning: thought.reasoningText, text: thought.text }

  const question = { role: 'user', content: 'Hello' }
  const turn = await generateText({ model: thinker, messages: [question], providerOptions: options })
  const next = [question, ...turn.response.messages, { role: 'user', content: 'And then?' }]
  seen.next = (await generateText({ model: thinker, messages: next, providerOptions: options })).text

  const given = []
  const weather = tool({
    description: 'The weather to come.',
    inputSchema: place,
    execute: async (input) => given.push(input) && 'sunny',
  })
  const asked = { model: actor, prompt: 'both', tools: { get_weather: weather }, stopWhen: stepCountIs(3) }
  const agent = await generateText(asked)
  seen.agent = { text: agent.text, given: given.splice(0), steps: agent.steps.map((step) => step.finishReason) }
  const streamed = streamText(asked)
  seen.streamedAgent = { text: '' }
  for await (const part of streamed.textStream) seen.streamedAgent.text += part
  seen.streamedAgent.given = given

  seen.object = (await generateObject({ model: actor, prompt: 'Which place?', schema: place })).object
  seen.output = (
    await generateText({ model: actor, prompt: 'Which place?', output: Output.object({ schema: place }) })
  ).output
  const growing = streamObject({ model: actor, prompt: 'Which place?', schema: place })
  seen.objects = []
  for await (const part of growing.partialObjectStream) seen.objects.push(part)

  const vectors = await embedMany({ model: embedding, values: ['sky', '天空'] })
  seen.vectors = vectors.embeddings.map((vector) => vector.length)

  try {
    await generateText({ model: provider('no-such-model'), prompt: 'Hello', maxRetries: 0 })
  } catch (error) {
    seen.refused = { name: error.name, status: error.statusCode, body: error.responseBody }
  }
  return seen
}

console.log(
  JSON.stringify({
    ollama: await seenThrough(ollama, ollama.embedding('all-minilm:22m'), { ollama: { think: true } }),
    compatible: await seenThrough(compatible, compatible.embeddingModel('all-minilm:22m'), {
      puna: { reasoningEffort: 'low' },
    }),
    responses: await seenThrough(responses, responses.embeddingModel('all-minilm:22m'), {
      openai: { reasoningEffort: 'low', reasoningSummary: 'auto', forceReasoning: true },
    }),
  }),
)
