curl -X POST http://localhost:11434/api/chat \
  -H "Content-Type: application/json" \
  -d '{
    "model": "qwen3",
    "messages": [{"role": "user", "content": "解释一下量子计算"}],
    "stream": true,
    "options": {
      "temperature": 0.7,
      "num_ctx": 4096
    }
  }'
