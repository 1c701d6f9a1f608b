"""Muse Glimmer: messages with a recipient, and calls in `<atem:…>` tags.

Source: the chat template that Ollama and llama.cpp ship for the model (muse-glimmer.jinja).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from puna.chat.prompt import Prompt
from puna.types import Message

from .reading import RenderedCall, RenderedFunction, calls, functions, with_markers
from .tool_json import bare, spaced

_CUTOFF = "2026-01-04"
_TOOLS = """In this environment you have access to a set of tools you can use to answer the user's question.

You can invoke a function by writing a "<atem:function_calls>" block like the following:
<atem:function_calls>
<atem:invoke name="$FUNCTION_NAME">
<atem:parameter name="$PARAMETER_NAME">$PARAMETER_VALUE</atem:parameter>
...
</atem:invoke>
</atem:function_calls>

String and scalar parameters should be specified as is, while lists and objects should use JSON format. \
Note that spaces for string values are not stripped. The output is not expected to be valid XML and is \
parsed with regular expressions.
Here are the functions available in JSONSchema format:
// Tool metadata
"""
_EXAMPLE = """

Here's an example of how to call a function in the tool set:
(If the tool namespace is not specified, invoke the function directly as `example_function_name` rather than \
`example_tool_name.example_function_name`)

to=example_tool_name.example_function_name

<atem:function_calls>
<atem:invoke name="example_tool_name.example_function_name">
<atem:parameter name="example_parameter_1">value_1</atem:parameter>
<atem:parameter name="example_parameter_2">This is the value for the second parameter
that can span
"multiple" lines
</atem:parameter>
</atem:invoke>
</atem:function_calls>"""
_MESSAGE_END = "<|eom|>"
_TURN_END = "<|eot|>"


def glimmer(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces, with today's date. Reasons with strength "high" unless told otherwise."""
    messages = prompt.messages
    tools = functions(prompt)
    strength = _strength(prompt)
    yield "<|begin_of_text|>"
    if not any(message.role == "system" for message in messages):
        dates = f"Knowledge cutoff: {_CUTOFF}.\nCurrent date: {date.today().isoformat()}."
        yield _system(f"You are a helpful AI assistant.\n{dates}", tools, strength)
    for index, message in enumerate(messages):
        text = with_markers(message)
        if message.role == "system":
            yield _system(_in_its_words(text), tools, strength)
        elif message.role == "user":
            yield _message("user", text) + _TURN_END
        elif message.role == "tool":
            name = message.tool_name or _called_name(message.tool_call_id, messages)
            output = f'<tool_output name="{name}">\n{text}\n</tool_output>'
            yield _message(f"tool {name}", output) + _TURN_END
        elif message.role == "assistant":
            yield from _answer(message, messages[index + 1 :])
    yield "<|start|>assistant"


def _strength(prompt: Prompt) -> str:
    if isinstance(prompt.think, str):
        return prompt.think
    return "none" if prompt.think is False else "high"


def _message(header: str, text: str) -> str:
    return f"<|start|>{header}<|message|>{text}"


def _system(text: str, tools: list[RenderedFunction], strength: str) -> str:
    parts = [text]
    if "reasoning strength" not in text.lower():
        parts.append(f"Reasoning strength: {strength}.")
    spaces = list(dict.fromkeys(tool.name.partition(".")[0] for tool in tools))
    if tools:
        about = "".join(spaced({"name": space, "description": ""}) + "\n" for space in spaces)
        listed = "".join(f"\n{spaced(tool._asdict())}" for tool in tools)
        parts.append(f"{_TOOLS}{about}// Function schemas{listed}{_EXAMPLE}")
    recipients = ", ".join(['"self"', *(f'"{space}.*"' for space in spaces), '"user"'])
    parts.append(f"# Valid recipients: {recipients}.")
    return _message("system", "\n\n".join(parts)) + _TURN_END


def _in_its_words(text: str) -> str:
    """Replaces "effort" by the model's own word "strength" in a system message."""
    for word in ("Reasoning effort", "Reasoning Effort", "reasoning effort", "REASONING EFFORT"):
        strength = "STRENGTH" if word.isupper() else "Strength" if "E" in word else "strength"
        text = text.replace(word, f"{word[:9]} {strength}")
    return text


def _answer(message: Message, later: list[Message]) -> Iterator[str]:
    if message.thinking:
        yield _message("assistant to=self", message.thinking) + _MESSAGE_END
    made = [_message(f"assistant to={call.name}", _call_text(call)) for call in calls(message)]
    if made:
        goes_on = bool(later) and later[0].role == "assistant"
        yield _MESSAGE_END.join(made) + (_MESSAGE_END if goes_on else _TURN_END)
    elif message.content or not message.thinking:
        yield _message("assistant to=user", with_markers(message)) + _TURN_END


def _call_text(call: RenderedCall) -> str:
    parameters = "".join(
        f'<atem:parameter name="{name}">{bare(value, spaced)}</atem:parameter>\n'
        for name, value in call.arguments.items()
    )
    invoked = f'<atem:invoke name="{call.name}">\n{parameters}</atem:invoke>'
    return f"<atem:function_calls>\n{invoked}\n</atem:function_calls>"


def _called_name(call_id: str, messages: list[Message]) -> str:
    made = [call for message in messages for call in calls(message)]
    return next((call.name for call in reversed(made) if call_id and call.id == call_id), call_id)
