"""Models that answer each client's questions as they were told to: real ones, through the real engine.

A scripted model says one thing. An actor has an answer for every cue, a token that its template ends
prompts with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import TokenType

from tests.model_parts import END, byte_vocabulary
from tests.models import follower_model, install

TURNS = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}"
)
"""What a template like Qwen 3's writes of a conversation."""

REASONING = "Let me think."
ALONE = {"num_thread": 1}
"""So small a model is quickest on one thread, which waits for no other on a busy machine."""
OTHERWISE = "otherwise"
"""The cue for what nothing else was learned for."""


def call(name: str, **arguments: Any) -> str:
    """A tool call as the Hermes family writes it."""
    written = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{written}\n</tool_call>"


def add_actor(
    store: Path,
    gguf: Path,
    name: str,
    answers: Mapping[str, str],
    *,
    turns: str = TURNS,
    context_length: int = 4096,
) -> None:
    """Put a model into `store` that has learned `answers`; its template writes a conversation by `turns`.

    Its cue is the first key that the last turn (but the system's) has in it, or else that is a tool's
    name, or else `OTHERWISE`.
    """
    conditions = [(key, f"{json.dumps(key)} in last.content") for key in answers]
    conditions += [(key, f"{json.dumps(key)} in offered") for key in answers]
    choices = "{% el".join(f"if {condition} %}}{_token(key)}" for key, condition in conditions)
    template = (
        turns
        + "{% if add_generation_prompt %}<|im_start|>assistant\n"
        + "{% set last = (messages | rejectattr('role', 'equalto', 'system') | list or messages)[-1] %}"
        + "{% set offered = (tools or []) | map(attribute='function.name') | list %}"
        + f"{{% {choices}{{% else %}}{_token(OTHERWISE)}{{% endif %}}{{% endif %}}"
    )
    _write(gguf, answers, template, context_length)
    install(store, name, gguf, parameters=ALONE)


def add_thinker(store: Path, gguf: Path, name: str, answer: str) -> None:
    """Put a model into `store` that reasons before its answer unless it is told not to."""
    template = (
        TURNS
        + "{% if add_generation_prompt %}<|im_start|>assistant\n"
        + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n<|answer|>"
        + "{% else %}<|thought|>{% endif %}{% endif %}"
    )
    _write(gguf, {"answer": answer, "thought": f"<think>\n{REASONING}\n</think>\n\n{answer}"}, template)
    install(store, name, gguf, parameters=ALONE)


def _token(cue: str) -> str:
    return f"<|{cue}|>"


def _write(path: Path, answers: Mapping[str, str], template: str, context_length: int = 4096) -> None:
    """A model whose answers each follow their cue, spelled in bytes, so cut everywhere."""
    vocabulary = byte_vocabulary()
    follows = [END] * len(vocabulary)
    for cue, answer in answers.items():
        vocabulary.append((_token(cue).encode(), TokenType.CONTROL))
        for byte in answer.encode():
            follows.append(len(vocabulary))
            vocabulary.append((b"<0x%02X>#%d" % (byte, len(vocabulary)), TokenType.BYTE))
        follows.append(END)
    follower_model(path, vocabulary, follows, template, "actor", context_length)
