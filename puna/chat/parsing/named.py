"""What models of a PARSER can do (Ollama model/parsers, HasToolSupport and HasThinkingSupport)."""

from __future__ import annotations

_NO_TOOLS = {"glm-ocr", "olmo3-32b-think", "olmo3-think", "passthrough", "plain"}
_NO_THINKING = {
    "phi4-mini",
    "llama4",
    "functiongemma",
    "gemma4-no-thinking",
    "glm-ocr",
    "granite",
    "lfm2",
    "llama3",
    "ministral",
    "mistral",
    "olmo3",
    "olmo3.1",
    "passthrough",
    "plain",
    "qwen3",
    "qwen3-coder",
    "qwen3-vl-instruct",
}


def named_abilities(name: str) -> tuple[bool, bool]:
    """Whether a model whose PARSER has this name calls tools, and whether it thinks."""
    return name not in _NO_TOOLS, name not in _NO_THINKING
