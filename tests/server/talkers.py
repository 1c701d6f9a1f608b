"""Models that think, call tools and talk, for the dialects' tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.models import install, scripted_model
from tests.server.conftest import add_models

TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}"
    "{% if message.name %}[{{ message.name }}]{% endif %}<|im_end|>\n{% endfor %}"
    "{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""Like Qwen 3's: it takes tools, and switches thinking off by writing it out empty."""

REASONING = "Let me think."
CALLS = [("weather", {"city": "Paris", "days": 2}), ("weather", {"city": "東京", "days": 1})]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}


def letters(text: str) -> list[str | bytes]:
    """A script of single bytes, so that everything is cut everywhere."""
    return [bytes([byte]) for byte in text.encode()]


def add_talkers(folder: Path) -> Path:
    """A store with the models of `add_models`, and `thinker`, `caller`, `writer` and `narrow`."""
    store, gguf = folder / "models", folder / "model.gguf"
    add_models(gguf, store)
    scripted_model(gguf, letters(f"<think>\n{REASONING}\n</think>\n\nBlue."), chat_template=TEMPLATE)
    install(store, "thinker", gguf)
    written = [json.dumps({"name": name, "arguments": given}, ensure_ascii=False) for name, given in CALLS]
    calls = "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in written)
    scripted_model(gguf, letters(f"<think>\n\n</think>\n\nI look. {calls}"), chat_template=TEMPLATE)
    install(store, "caller", gguf)
    scripted_model(gguf, letters('{"city": "Paris", "days": 2}'))
    install(store, "somewhere.example/me/writer:v1", gguf)
    scripted_model(gguf, "on and ", endless=True)
    install(store, "narrow", gguf, parameters={"num_ctx": 256})
    return store
