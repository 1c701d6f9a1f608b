"""Which family a model's answers are of, and what its template says it can do."""

from __future__ import annotations

import re

from puna.chat.gotemplate import FUNCTIONS, names, parse
from puna.types import BadRequest

from .families import FAMILIES
from .families.generic import notation

# What shows in a template, Go's or Jinja's, and whose it is. The first that is there decides.
_SHOWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("｜DSML｜",), "deepseek3.2"),
    (("<｜tool▁calls▁begin｜>",), "deepseek"),
    (("<|tool_calls_section_begin|>",), "kimi-k2"),
    (("<minimax:tool_call>",), "minimax-m2"),
    (("<seed:tool_call>",), "seed-oss"),
    (("<|tools_prefix|>",), "apertus"),
    (("<|function_call|>",), "gigachat"),
    (("function call", "<|role_sep|>"), "gigachat"),
    (("<|action_start|>", "<|plugin|>"), "internlm"),
    (("<TOOLCALL>",), "nemotron-nano-v2"),
    (("functools",), "phi4-mini"),
    (("<|/tool|>",), "phi4-mini"),
    (("<|channel|>", "<|message|>"), "harmony"),
    (("<atem:function_calls>",), "glimmer"),
    (("[TOOL_CALLS]",), "mistral"),
    (("<|tool_call_start|>",), "lfm2"),
    (("<start_function_call>",), "functiongemma"),
    (("<|tool_call>",), "gemma4"),
    (("<|START_ACTION|>",), "cohere"),
    (("Action:", "tool_name"), "cohere"),
    (("<|tool_call|>",), "granite"),
    (("<arg_key>", "<user>"), "laguna"),
    (("<arg_key>",), "glm"),
    (("<function=", "<think>"), "qwen3.5"),
    (("<function=", "<parameter="), "qwen3-coder"),
    (("<function_calls>",), "olmo3"),
    (("<tool_calls>",), "hunyuan"),
    (("<response>", "<tool_call>"), "ernie"),
    (("<tool_call>",), "hermes"),
    (("<|python_tag|>",), "llama3"),
    (("<|start_header_id|>", '"parameters"'), "llama3"),
    (("<|start_header_id|>", '"arguments"'), "llama3"),
    (("<|header_start|>",), "llama4"),
    (("<｜Assistant｜>",), "deepseek"),
    (("[THINK]",), "mistral"),
    (("<|START_THINKING|>",), "cohere"),
    (("<think>", "<|im_start|>"), "hermes"),
)

_REASONS = (
    "<|channel|>analysis",
    "[THINK]",
    "<|START_THINKING|>",
    "<|channel>thought",
    "<seed:think>",
    "<|inner_prefix|>",
    "enable_thinking",
)
_JINJA_CODE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)


def family_of(name: str, template: str, architecture: str) -> str:
    """The family of a model: of its PARSER or RENDERER, else what its chat template shows, else "generic".

    `template` is Jinja or Go; `architecture` is the GGUF's `general.architecture`.
    """
    if name in FAMILIES:
        return name
    if architecture in ("gptoss", "gpt-oss"):
        return "harmony"
    for texts, family in _SHOWS:
        if all(text in template for text in texts):
            return family
    return "generic"


def can_call_tools(template: str) -> bool:
    """The template shows the model its tools."""
    if (go := _go_names(template)) is not None:
        return "tools" in go
    return any(re.search(r"\b(tools|tool_calls?)\b", code) for code in _JINJA_CODE.findall(template))


def can_think(template: str) -> bool:
    """The template tells reasoning from the answer, or turns it on."""
    if "<|channel|>analysis" in template:
        return True
    if (go := _go_names(template)) is not None:
        return bool(go & {"think", "thinklevel", "isthinkset"}) or all(notation(template).tags)
    if any(text in template for text in _REASONS):
        return True
    return "</think>" in template and (
        "<think>" in template or "split('</think>')" in template.replace('"', "'")
    )


def _go_names(template: str) -> frozenset[str] | None:
    """The names a template in Go's language reads, in lower case; None for one in Jinja's."""
    if "{%" in template or "{#" in template:
        return None
    try:
        trees = parse(template, FUNCTIONS)
    except (BadRequest, RecursionError):
        return None
    return frozenset(name.lower() for tree in trees.values() for name in names(tree))
