"""How families write calls: functions from a call, or from a list of them, to text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Call = tuple[str, dict[str, Any]]
Write = Callable[[list[Call]], str]


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def each(write: Callable[[str, dict[str, Any]], str], join: str = "\n") -> Callable[[list[Call]], str]:
    return lambda calls: join.join(write(*call) for call in calls)


def entry(name: str, arguments: dict[str, Any], key: str = "arguments") -> dict[str, Any]:
    return {"name": name, key: arguments}


def shown(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)


def functions(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>\n{shown(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>"


def glm(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(
        f"<arg_key>{key}</arg_key>\n<arg_value>{shown(value)}</arg_value>\n"
        for key, value in arguments.items()
    )
    return f"<tool_call>{name}\n{inner}</tool_call>"


def hy(suffix: str, separator: str, gap: str = "\n") -> Callable[[list[Call]], str]:
    """How Tencent's models write calls: GLM's tags with a suffix, all calls in one more."""

    def write(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(
            f"<arg_key{suffix}>{key}</arg_key{suffix}>{gap}"
            f"<arg_value{suffix}>{shown(value)}</arg_value{suffix}>{gap}"
            for key, value in arguments.items()
        )
        return f"<tool_call{suffix}>{name}{separator}{gap}{inner}</tool_call{suffix}>"

    return lambda calls: f"<tool_calls{suffix}>{gap}{each(write, gap)(calls)}{gap}</tool_calls{suffix}>"


def minimax_m3(given: list[Call]) -> str:
    """Lists nest; objects without known keys are JSON, because their values have no types."""
    space = "]<]minimax[>["

    def element(tag: str, value: Any) -> str:
        inner = "".join(element("item", one) for one in value) if isinstance(value, list) else shown(value)
        return f"{space}<{tag}>{inner}{space}</{tag}>"

    def write(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(element(*one) for one in arguments.items())
        return f'{space}<invoke name="{name}">{inner}{space}</invoke>\n'

    return f"{space}<tool_call>\n{each(write, '')(given)}{space}</tool_call>"


_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def kimi_k3(given: list[Call]) -> str:
    def write(number: int, name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(
            f'<|open|>argument key="{key}" type="{_KINDS[type(value)]}"<|sep|>{shown(value)}'
            "<|close|>argument<|sep|>"
            for key, value in arguments.items()
        )
        return f'<|open|>call tool="{name}" index="{number}"<|sep|>{inner}<|close|>call<|sep|>'

    calls = "".join(write(number, *call) for number, call in enumerate(given, 1))
    return f"<|open|>tools<|sep|>{calls}<|close|>tools<|sep|>"


def gemma(mark: str) -> Callable[[dict[str, Any]], str]:
    def write(value: Any) -> str:
        if isinstance(value, str):
            return f"{mark}{value}{mark}"
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}:{write(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(write, value)) + "]"
        return compact(value)

    return write


def python(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def atem(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(
        f'<atem:parameter name="{key}">{shown(value)}</atem:parameter>\n' for key, value in arguments.items()
    )
    invoked = f'<atem:invoke name="{name}">\n{inner}</atem:invoke>'
    message = f"<atem:function_calls>\n{invoked}\n</atem:function_calls>"
    return f"<|start|>assistant to={name}<|message|>{message}<|eom|>"


def harmony(name: str, arguments: dict[str, Any]) -> str:
    header = f"<|start|>assistant<|channel|>commentary to=functions.{name} <|constrain|>json"
    return f"{header}<|message|>{compact(arguments)}<|call|>"


def deepseek(write: Callable[[str, dict[str, Any]], str]) -> Callable[[list[Call]], str]:
    def calls(given: list[Call]) -> str:
        inner = "".join(f"<｜tool▁call▁begin｜>{write(*call)}<｜tool▁call▁end｜>" for call in given)
        return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"

    return calls


def cohere(given: list[Call]) -> list[dict[str, Any]]:
    return [
        {"tool_call_id": str(number), "tool_name": name, "parameters": arguments}
        for number, (name, arguments) in enumerate(given)
    ]


def kimi(given: list[Call]) -> str:
    inner = "".join(
        f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{compact(arguments)}"
        "<|tool_call_end|>"
        for number, (name, arguments) in enumerate(given)
    )
    return f"<|tool_calls_section_begin|>{inner}<|tool_calls_section_end|>"


def invoked(
    open: str, close: str, prefix: str = "", attribute: Callable[[Any], str] = lambda value: ""
) -> Callable[[list[Call]], str]:
    def write(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(
            f'<{prefix}parameter name="{key}"{attribute(value)}>{shown(value)}</{prefix}parameter>\n'
            for key, value in arguments.items()
        )
        return f'<{prefix}invoke name="{name}">\n{inner}</{prefix}invoke>'

    return lambda calls: f"{open}\n{each(write)(calls)}\n{close}"


def seed(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>{shown(value)}</parameter>\n" for key, value in arguments.items())
    return f"<seed:tool_call>\n<function={name}>\n{inner}</function>\n</seed:tool_call>"


def listed(open: str, close: str = "") -> Callable[[list[Call]], str]:
    return lambda calls: open + compact([entry(*call) for call in calls]) + close


def minicpm(name: str, arguments: dict[str, Any]) -> str:
    def value(given: Any) -> str:
        text = shown(given)
        return f"<![CDATA[{text}]]>" if re.search(r"[<&\n]", text) else text

    inner = "".join(f'<param name="{key}">{value(one)}</param>' for key, one in arguments.items())
    return f'<function name="{name}">{inner}</function>'


def plamo(given: list[Call]) -> str:
    def element(name: str, inner: str) -> str:
        return f"<|plamo:begin_{name}:plamo|>{inner}<|plamo:end_{name}:plamo|>"

    def write(name: str, arguments: dict[str, Any]) -> str:
        value = f"<|plamo:constrain|>json<|plamo:msg|>{compact(arguments)}"
        return element("tool_request", element("tool_name", name) + element("tool_arguments", value))

    return element("tool_requests", each(write, "")(given))


def solar(given: list[Call]) -> str:
    inner = "".join(
        f"<|tool_call:begin|>a1b2c3d4e{number}<|tool_call:name|>{name}<|tool_call:args|>{compact(arguments)}"
        "<|tool_call:end|>"
        for number, (name, arguments) in enumerate(given)
    )
    return f"<|tool_calls|>{inner}<|calls|>"


ENCLOSED: dict[str, tuple[Write, str]] = {
    "qwen3-coder": (each(functions), "</parameter>"),
    "qwen3.5": (each(functions), "</parameter>"),
    "seed-oss": (each(seed), "</parameter>"),
    "minimax-m2": (invoked("<minimax:tool_call>", "</minimax:tool_call>"), "</parameter>"),
    "glimmer": (each(atem, ""), "</atem:parameter>"),
    "glm": (each(glm), "</arg_value>"),
    "laguna": (each(glm), "</arg_value>"),
    "hy3": (hy(":opensource", "<tool_sep:opensource>"), "</arg_value:opensource>"),
    "hy4": (hy(":6124c78e", "", gap=""), "</arg_value:6124c78e>"),
}
"""The families whose values stand between tags: how each writes calls, and how a value ends."""
