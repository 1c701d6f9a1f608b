"""FunctionGemma: Gemma 3's turns with functions, calls and responses between their own tokens.

Source: the chat template of google/functiongemma-270m-it.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.declarations import plainly_typed
from puna.chat.prompt import Prompt
from puna.types import Message

from .gemma_values import by_name, gemma_text
from .reading import RenderedCall, RenderedFunction, calls, functions, kinds, split_leading

_INTRODUCTION = "You can do function calling with the following functions:"
_MARK = "<escape>"
_END = "<end_of_turn>\n"


def functiongemma(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces; these models do not think."""
    developer, messages = split_leading(prompt.messages, "system", "developer")
    instructions = developer.content.strip() if developer else ""
    tools = functions(prompt)
    yield "<bos>"
    if instructions or tools:
        introduced = _INTRODUCTION if tools and instructions != _INTRODUCTION else ""
        between = "\n" if tools and instructions else ""
        yield f"<start_of_turn>developer\n{instructions}{between}{introduced}"
        yield from map(_declaration, tools)
        yield _END

    pending: list[RenderedCall] = []
    responding = False
    for index, message in enumerate(messages):
        text = message.content.strip()
        if message.role == "tool":
            # The token before the first response comes right after the calls.
            yield "" if index and messages[index - 1].tool_calls else "<start_function_response>"
            name = pending.pop(0).name if pending else message.tool_name
            yield f"response:{name}{{{gemma_text(message.content, _MARK)}}}<end_function_response>"
        else:
            role = "model" if message.role == "assistant" else message.role
            yield "" if responding and role in ("model", "user") else f"<start_of_turn>{role}\n"
            yield text
            if message.tool_calls:
                pending = calls(message)
                yield "".join(map(_call_text, pending))
            if message.tool_calls and _is_answered(messages, index):
                yield "<start_function_response>"
            else:
                yield _END
        responding = message.role == "tool"
    if not responding:
        yield "<start_of_turn>model\n"


def _is_answered(messages: list[Message], index: int) -> bool:
    return index + 1 < len(messages) and messages[index + 1].role == "tool"


def _declaration(function: RenderedFunction) -> str:
    schema = function.parameters
    parts: list[str] = []
    if function.properties:
        parts.append("properties:{" + ",".join(_properties(function)) + "}")
    if schema.get("required"):
        parts.append("required:" + gemma_text(schema["required"], _MARK))
    if schema.get("type"):
        parts.append("type:" + gemma_text(str(schema["type"]).upper(), _MARK))
    parameters = f",parameters:{{{','.join(parts)}}}" if parts else ""
    description = gemma_text(function.description, _MARK)
    return (
        f"<start_function_declaration>declaration:{function.name}{{description:{description}{parameters}}}"
        "<end_function_declaration>"
    )


def _properties(function: RenderedFunction) -> Iterator[str]:
    for name, schema in by_name(function.properties):
        kind = next(iter(kinds(plainly_typed(schema))), "")
        described = gemma_text(schema.get("description") or "", _MARK)
        typed = f",type:{gemma_text(kind.upper(), _MARK)}" if kind else ""
        yield f"{name}:{{description:{described}{typed}}}"


def _call_text(call: RenderedCall) -> str:
    return f"<start_function_call>call:{call.name}{gemma_text(call.arguments, _MARK)}<end_function_call>"
