const { Ollama } = require('ollama')
const ollama = new Ollama({ host: 'http://localhost:11434' })

const response = await ollama.chat({
    model: 'qwen3',
    messages: [{ role: 'user', content: 'Hello' }]
})
console.log(response.message.content)
