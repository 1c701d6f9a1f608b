"""The coding agents that `puna launch` starts, and how each is configured.

Each agent takes its server from the environment or the command line, so no file of the user's changes.
To add an agent: one value in `AGENTS` and one row in tests/agents.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

_PLACEHOLDER = "puna"
"""Agents require a key; a server without keys accepts any."""


@dataclass(frozen=True)
class Setup:
    """The environment variables of an agent, and the arguments before the user's own."""

    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agent:
    """`setup(url, key, model, context)`: the server's address without a trailing slash, the user's key or "",
    the model's name, and its context in tokens."""

    name: str
    title: str
    program: str
    install: str
    """The command that installs it."""
    setup: Callable[[str, str, str, int], Setup]


def _claude(url: str, key: str, model: str, context: int) -> Setup:
    """Claude Code, "LLM gateway configuration": the Messages API at ANTHROPIC_BASE_URL."""
    models = ("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL")
    small = ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL")
    return Setup(
        {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": key or _PLACEHOLDER,
            "ANTHROPIC_API_KEY": "",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **dict.fromkeys((*models, *small), model),
        }
    )


def _codex(url: str, key: str, model: str, context: int) -> Setup:
    """Codex, "Config": a model provider of its own that speaks the Responses API."""
    provider = {"name": "Puna", "base_url": f"{url}/v1", "wire_api": "responses"}
    if key:
        provider["env_key"] = "OLLAMA_API_KEY"
    settings = {"model_provider": "puna", "model_context_window": context}
    settings |= {f"model_providers.puna.{name}": value for name, value in provider.items()}
    # Values are TOML, in which these numbers and strings are written as in JSON.
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    return Setup(arguments=("--model", model, *words))


def _opencode(url: str, key: str, model: str, context: int) -> Setup:
    """OpenCode, "Config": OPENCODE_CONFIG_CONTENT overrides the user's own files."""
    limit = {"context": context, "output": context // 4}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Puna",
        "options": {"baseURL": f"{url}/v1", "apiKey": key or _PLACEHOLDER},
        "models": {model: {"name": model, "limit": limit}},
    }
    chosen = f"puna/{model}"
    config = {"provider": {"puna": provider}, "model": chosen, "small_model": chosen}
    return Setup({"OPENCODE_CONFIG_CONTENT": json.dumps(config)})


def _qwen(url: str, key: str, model: str, context: int) -> Setup:
    """Qwen Code, "Authentication": an OpenAI-compatible server."""
    place = {
        "OPENAI_API_KEY": key or _PLACEHOLDER,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_MODEL": model,
    }
    return Setup(place, ("--auth-type", "openai", "--model", model))


def _aider(url: str, key: str, model: str, context: int) -> Setup:
    """Aider, "OpenAI compatible APIs"."""
    place = {"OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": key or _PLACEHOLDER}
    # Without these, Aider asks the user for the context length and price of a model it does not know.
    return Setup(place, ("--model", f"openai/{model}", "--no-show-model-warnings"))


AGENTS = {
    agent.name: agent
    for agent in (
        Agent("claude", "Claude Code", "claude", "npm install -g @anthropic-ai/claude-code", _claude),
        Agent("codex", "Codex", "codex", "npm install -g @openai/codex", _codex),
        Agent("opencode", "OpenCode", "opencode", "npm install -g opencode-ai", _opencode),
        Agent("qwen", "Qwen Code", "qwen", "npm install -g @qwen-code/qwen-code", _qwen),
        Agent("aider", "Aider", "aider", "python -m pip install aider-install && aider-install", _aider),
    )
}
