import ollama

for chunk in ollama.chat(
    model='qwen3',
    messages=[{'role': 'user', 'content': '继续'}],
    stream=True
):
    print(chunk['message']['content'], end='')
