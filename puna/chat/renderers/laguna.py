"""Poolside's Laguna, two versions of one format: `<user>…</user>` turns, calls as key and value tags.

Source: the chat template of poolside/Laguna-XS.2 ("laguna"), and the eighth version of it ("poolside-v1").
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from puna.chat.prompt import Prompt
from puna.types import Message

from .glm import pairs
from .reading import calls, ends_with_answer, split_leading, thinks
from .tool_json import spaced

_pairs = partial(pairs, json=spaced)

_BOS = "〈|EOS|〉"
_DEFAULT = (
    "You are a helpful, conversationally-fluent assistant made by Poolside. You are here to be helpful to "
    "users through natural language conversations."
)
_TOOLS = """### Tools

You may call functions to assist with the user query.
All available function signatures are listed below:
<available_tools>
"""
_FORM = """return an unescaped XML-like object with function name and arguments within '<tool_call>' and \
'</tool_call>' tags, like here:
"""
_THINK_AND_CALL = (
    f"Wrap your thinking in '<think>', '</think>' tags, followed by a function call. For each function call, "
    f"{_FORM}<think> your thoughts here </think>\n"
)
_EXAMPLE = """<tool_call>function-name
<arg_key>argument-key</arg_key>
<arg_value>value-of-argument-key</arg_value>
</tool_call>"""


def laguna(prompt: Prompt) -> Iterator[str]:
    """The prompt of Laguna XS.2, the first version. Thinks only if it is asked to."""
    thinking = thinks(prompt, default=False)
    system, messages = split_leading(prompt.messages)
    instructions = (system.content if system else _DEFAULT).rstrip()
    yield _BOS
    if instructions or prompt.tools:
        yield "<system>\n" + (f"\n{instructions}" if instructions else "")
        if prompt.tools:
            how = _THINK_AND_CALL if thinking else f"For each function call, {_FORM}"
            yield f"\n\n{_tool_list(prompt)}\n\n{how}{_EXAMPLE}"
        yield "\n</system>\n"

    for index, message in enumerate(messages):
        if message.role == "assistant":
            yield _answer(message, last=index == len(messages) - 1)
        else:
            tag = "tool_response" if message.role == "tool" else message.role
            yield f"<{tag}>\n{message.content}\n</{tag}>\n"
    if not ends_with_answer(messages):
        yield "<assistant>\n<think>" if thinking else "<assistant>\n</think>"


def _answer(message: Message, *, last: bool) -> str:
    text, thought = message.content, message.thinking
    if "</think>" in text:
        before, _, text = text.rpartition("</think>")
        thought = thought or before.partition("</think>")[0].rpartition("<think>")[2]
    text, thought = text.strip(), thought.strip()
    start = f"<assistant>\n<think>\n{thought}\n</think>\n" if thought else "<assistant>\n</think>\n"
    made = "".join(
        f"<tool_call>{call.name}\n{_pairs(call, ends=_LINE)}</tool_call>\n" for call in calls(message)
    )
    text_and_calls = f"{text}\n" if text else ""
    end = "" if last and (thought or text or made) else "</assistant>\n"
    return f"{start}{text_and_calls}{made}{end}"


def poolside_v1(prompt: Prompt) -> Iterator[str]:
    """The prompt of the later version, with less white space. Thinks only if it is asked to."""
    thinking = thinks(prompt, default=False)
    system, messages = split_leading(prompt.messages)
    instructions = (system.content if system else _DEFAULT).rstrip()
    yield _BOS
    if instructions or prompt.tools or thinking:
        parts = [instructions, _tool_list(prompt) if prompt.tools else ""]
        yield f"<system>{(_LINE * 2).join(filter(None, parts))}</system>\n"

    for message in messages:
        if message.role == "assistant":
            thought = f"<think>{message.thinking}" if thinking else ""
            made = (f"<tool_call>{call.name}{_pairs(call)}</tool_call>" for call in calls(message))
            yield f"<assistant>{thought}</think>{message.content}{''.join(made)}</assistant>\n"
        else:
            tag = "tool_response" if message.role == "tool" else message.role
            yield f"<{tag}>{message.content}</{tag}>\n"
    yield "<assistant><think>" if thinking else "<assistant></think>"


_LINE = "\n"


def _tool_list(prompt: Prompt) -> str:
    return _TOOLS + "".join(f"{spaced(tool)}\n" for tool in prompt.tools or ()) + "</available_tools>"
