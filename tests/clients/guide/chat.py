import ollama

response = ollama.chat(
    model='qwen3',
    messages=[{'role': 'user', 'content': '你好'}]
)
print(response['message']['content'])
