import ollama

embedding = ollama.embeddings(
    model='qwen3-embedding',
    prompt='要嵌入的文本'
)
print(embedding['embedding'])
