"""Functions declared and called in Qwen3-Coder's tags, which Nemotron 3 took over.

Source: the chat templates of Qwen/Qwen3-Coder-30B-A3B-Instruct and nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .reading import RenderedCall, RenderedFunction
from .tool_json import bare, by_name

HOW_TO_CALL = """

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested \
within <tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, \
but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do \
not tell the user about function calls
</IMPORTANT>"""

Print = Callable[[str, Any], str]
"""Prints a value, given its key."""


def as_json(_: str, value: Any) -> str:
    """Qwen's form."""
    return bare(value)


def _as_json_by_name(_: str, value: Any) -> str:
    """Qwen's form with the keys inside a schema sorted, as in Ollama."""
    return bare(by_name(value))


def declarations(
    functions: Iterable[RenderedFunction],
    printed: Print = _as_json_by_name,
    *,
    first: tuple[str, ...] = ("type", "description"),
    last: tuple[str, ...] = (),
) -> Iterator[str]:
    """`<tools>` with all functions; `first` are a property's first keys, `last` the parameters' last ones."""
    yield "<tools>"
    for function in functions:
        yield f"\n<function>\n<name>{function.name}</name>"
        if function.description:
            yield f"\n<description>{printed('description', function.description)}</description>"
        yield "\n<parameters>"
        for name, schema in function.properties.items():
            order = [*first, *(key for key in schema if key not in first)]
            yield f"\n<parameter>\n<name>{name}</name>{_tags(schema, order, printed)}\n</parameter>"
        schema = function.parameters
        order = [*(key for key in schema if key not in ("type", "properties", *last)), *last]
        yield f"{_tags(schema, order, printed)}\n</parameters>\n</function>"
    yield "\n</tools>"


def _tags(schema: dict[str, Any], order: Iterable[str], printed: Print) -> str:
    given = ((key, schema.get(key)) for key in order)
    return "".join(
        f"\n<{key}>{printed(key, value)}</{key}>" for key, value in given if value not in (None, "")
    )


def call_text(call: RenderedCall, printed: Print = as_json) -> str:
    """One call in its tags."""
    parameters = "".join(
        f"<parameter={name}>\n{printed('', value)}\n</parameter>\n" for name, value in call.arguments.items()
    )
    return f"<tool_call>\n<function={call.name}>\n{parameters}</function>\n</tool_call>"
