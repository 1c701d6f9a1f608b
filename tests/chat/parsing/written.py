"""Answers as each family's models write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from puna.chat.parsing import Called, Content, Parser, Part, Thinking, parser_for
from puna.types import Message

Call = tuple[str, dict[str, Any]]

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "forecast",
            "description": "The weather to come.",
            "parameters": {
                "type": "object",
                "properties": {
                    "zone": {"type": "string"},
                    "days": {"type": "integer"},
                    "exact": {"type": "number"},
                    "brief": {"type": "boolean"},
                    "points": {"type": "array", "items": {"type": "number"}},
                    "extra": {"anyOf": [{"type": "object"}, {"type": "null"}]},
                },
                "required": ["zone"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]

FORECAST: Call = (
    "forecast",
    {
        "zone": 'São "東京" {[(<b>\n🌧, \\ it\'s',
        "days": 12345678901234567,
        "extra": {"b": [1, "x", {"c": None}], "a": {}},
        "exact": -0.25,
        "brief": True,
        "points": [1, 2.5, -3],
    },
)
NOW: Call = ("now", {})


@dataclass(frozen=True)
class Written:
    """A family and how its models write calls and reasoning."""

    family: str
    calls: Callable[[list[Call]], str]
    broken: str
    """A call gone wrong, which is content."""
    think: tuple[str, str] | None = None
    text: tuple[str, str] = ("", "")
    """What encloses the answer's text."""
    between: str = "\n"
    """What may be between text and calls."""
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.family}{self.variant}"


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def each(write: Callable[[str, dict[str, Any]], str], join: str = "\n") -> Callable[[list[Call]], str]:
    return lambda calls: join.join(write(*call) for call in calls)


def _object(name: str, arguments: dict[str, Any], key: str = "arguments") -> dict[str, Any]:
    return {"name": name, key: arguments}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)


def _functions(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>\n{_text(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>"


def _glm(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(
        f"<arg_key>{key}</arg_key>\n<arg_value>{_text(value)}</arg_value>\n"
        for key, value in arguments.items()
    )
    return f"<tool_call>{name}\n{inner}</tool_call>"


def _gemma(mark: str) -> Callable[[dict[str, Any]], str]:
    def write(value: Any) -> str:
        if isinstance(value, str):
            return f"{mark}{value}{mark}"
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}:{write(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(write, value)) + "]"
        return compact(value)

    return write


def _python(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _atem(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(
        f'<atem:parameter name="{key}">{_text(value)}</atem:parameter>\n' for key, value in arguments.items()
    )
    invoked = f'<atem:invoke name="{name}">\n{inner}</atem:invoke>'
    message = f"<atem:function_calls>\n{invoked}\n</atem:function_calls>"
    return f"<|start|>assistant to={name}<|message|>{message}<|eom|>"


def _harmony(name: str, arguments: dict[str, Any]) -> str:
    header = f"<|start|>assistant<|channel|>commentary to=functions.{name} <|constrain|>json"
    return f"{header}<|message|>{compact(arguments)}<|call|>"


def _deepseek(write: Callable[[str, dict[str, Any]], str]) -> Callable[[list[Call]], str]:
    def calls(given: list[Call]) -> str:
        inner = "".join(f"<｜tool▁call▁begin｜>{write(*call)}<｜tool▁call▁end｜>" for call in given)
        return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"

    return calls


def _cohere(given: list[Call]) -> list[dict[str, Any]]:
    return [
        {"tool_call_id": str(number), "tool_name": name, "parameters": arguments}
        for number, (name, arguments) in enumerate(given)
    ]


def _kimi(given: list[Call]) -> str:
    inner = "".join(
        f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{compact(arguments)}"
        "<|tool_call_end|>"
        for number, (name, arguments) in enumerate(given)
    )
    return f"<|tool_calls_section_begin|>{inner}<|tool_calls_section_end|>"


def _invoked(
    open: str, close: str, prefix: str = "", attribute: Callable[[Any], str] = lambda value: ""
) -> Callable[[list[Call]], str]:
    def write(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(
            f'<{prefix}parameter name="{key}"{attribute(value)}>{_text(value)}</{prefix}parameter>\n'
            for key, value in arguments.items()
        )
        return f'<{prefix}invoke name="{name}">\n{inner}</{prefix}invoke>'

    return lambda calls: f"{open}\n{each(write)(calls)}\n{close}"


def _seed(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>{_text(value)}</parameter>\n" for key, value in arguments.items())
    return f"<seed:tool_call>\n<function={name}>\n{inner}</function>\n</seed:tool_call>"


def _listed(open: str, close: str = "") -> Callable[[list[Call]], str]:
    return lambda calls: open + compact([_object(*call) for call in calls]) + close


_THINK = ("<think>\n", "\n</think>\n\n")
_TAGGED = each(lambda *call: f"<tool_call>\n{compact(_object(*call))}\n</tool_call>")
_BARE = each(lambda *call: compact(_object(*call, key="parameters")), "; ")
_IN_GEMMA4 = _gemma('<|"|>')
_ESCAPED = _gemma("<escape>")

WRITTEN = [
    Written("hermes", _TAGGED, '<tool_call>\n{"name": "now", "arguments": {]}\n</tool_call>', _THINK),
    Written("qwen3-vl-thinking", _TAGGED, "<tool_call>\nnow()\n</tool_call>", _THINK),
    Written(
        "hermes",
        lambda calls: f"<tool_call>{''.join(compact(_object(*call)) for call in calls)}</tool_call>",
        '<tool_call>{"name": ""}</tool_call>',
        variant=" all in one tag",
    ),
    Written("qwen3-coder", each(_functions), "<tool_call>\n<function=now>\nzone\n</function>\n</tool_call>"),
    Written(
        "qwen3-coder",
        each(lambda *call: _functions(*call).removeprefix("<tool_call>\n")),
        "<function=now>?",
        variant=" without the first tag",
    ),
    Written("qwen3.5", each(_functions), "<tool_call>\nnow\n</tool_call>", _THINK),
    Written("nemotron-3-nano", each(_functions), "<tool_call>[]</tool_call>", _THINK),
    Written(
        "llama3",
        _BARE,
        '{"name": "now", "parameters": 5}',
        between="",
    ),
    Written(
        "llama3",
        lambda calls: (
            "<|python_tag|>" + "; ".join(compact(_object(*call, key="parameters")) for call in calls)
        ),
        "<|python_tag|>import os",
        variant=" python tag",
    ),
    Written(
        "llama3",
        each(lambda name, arguments: f"<function={name}>{compact(arguments)}</function>"),
        "<function=now>[]</function>",
        variant=" function tag",
    ),
    Written(
        "mistral",
        lambda calls: "[TOOL_CALLS]" + compact([{**_object(*call), "id": "abcdefghi"} for call in calls]),
        '[TOOL_CALLS][{"name": 5}]',
        variant=" list",
    ),
    Written(
        "ministral",
        each(lambda name, arguments: f"[TOOL_CALLS]{name}[ARGS]{compact(arguments)}", ""),
        "[TOOL_CALLS]now[ARGS]5",
        ("[THINK]", "[/THINK]"),
    ),
    Written(
        "mistral",
        each(lambda name, arguments: f"[TOOL_CALLS]{name}[CALL_ID]a1b2c3[ARGS]{compact(arguments)}", ""),
        "[TOOL_CALLS]now [ARGS]{}",
        variant=" ids",
    ),
    Written(
        "harmony",
        each(_harmony, ""),
        "<|start|>assistant<|channel|>commentary to=functions.now<|message|>[1]",
        ("<|channel|>analysis<|message|>", "<|end|>"),
        ("<|start|>assistant<|channel|>commentary<|message|>", "<|end|>"),
        between="",
    ),
    Written(
        "deepseek",
        _deepseek(lambda name, arguments: f"{name}<｜tool▁sep｜>{compact(arguments)}"),
        "<｜tool▁calls▁begin｜>now<｜tool▁sep｜>{}<｜tool▁calls▁end｜>",
        _THINK,
    ),
    Written(
        "cogito",
        _deepseek(lambda name, given: f"function<｜tool▁sep｜>{name}\n```json\n{compact(given)}\n```"),
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\nno\n```<｜tool▁call▁end｜>",
        _THINK,
    ),
    Written("glm", each(_glm), "<tool_call>now\n<arg_key>zone</arg_key>\n</tool_call>", _THINK),
    Written("laguna", each(_glm), "<tool_call>!</tool_call>", _THINK),
    Written(
        "functiongemma",
        each(lambda name, given: f"<start_function_call>call:{name}{_ESCAPED(given)}<end_function_call>"),
        "<start_function_call>call:now{zone}<end_function_call>",
    ),
    Written(
        "gemma4",
        each(lambda name, given: f"<|tool_call>call:{name}{_IN_GEMMA4(given)}<tool_call|>", ""),
        '<|tool_call>call:now{zone:<|"|>',
        ("<|channel>thought\n", "\n<channel|>"),
    ),
    Written(
        "cohere",
        lambda calls: f"<|START_ACTION|>{compact(_cohere(calls))}<|END_ACTION|>",
        '<|START_ACTION|>[{"tool": 1}]<|END_ACTION|>',
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|START_TEXT|>", "<|END_TEXT|>"),
    ),
    Written(
        "cohere",
        lambda calls: f"Action: ```json\n{json.dumps(_cohere(calls), indent=4)}\n```",
        "Action: ```python\nnow()\n```",
        variant=" fenced",
    ),
    Written(
        "granite",
        lambda calls: f"<|tool_call|>{compact([_object(*call) for call in calls])}",
        "<|tool_call|> none",
        _THINK,
    ),
    Written("granite", _TAGGED, "<tool_call>none</tool_call>", variant=" 4"),
    Written(
        "lfm2",
        lambda calls: f"<|tool_call_start|>[{', '.join(_python(*call) for call in calls)}]<|tool_call_end|>",
        "<|tool_call_start|>[now(5)]<|tool_call_end|>",
        _THINK,
    ),
    Written(
        "olmo3",
        lambda calls: "<function_calls>" + "\n".join(_python(*call) for call in calls) + "</function_calls>",
        "<function_calls>now</function_calls>",
        _THINK,
    ),
    Written(
        "glimmer",
        each(_atem, ""),
        '<atem:function_calls>\n<atem:invoke name="now">\nnow\n</atem:invoke>',
        (" to=self<|message|>", "<|eom|>"),
        ("<|start|>assistant to=user<|message|>", "<|eom|>"),
        between="",
    ),
    Written("ernie", _TAGGED, "<tool_call>none</tool_call>", _THINK, ("<response>\n", "\n</response>")),
    Written(
        "kimi-k2",
        _kimi,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.now.0 {}<|tool_calls_section_end|>",
        ("<think>", "</think>"),
    ),
    Written(
        "kimi-k2",
        lambda calls: _kimi(calls).removeprefix("<|tool_calls_section_begin|>"),
        "<|tool_call_begin|>functions.now:0 {}",
        variant=" without a section",
    ),
    Written(
        "minimax-m2",
        _invoked("<minimax:tool_call>", "</minimax:tool_call>"),
        "<minimax:tool_call>\n<invoke>\n</invoke>\n</minimax:tool_call>",
        _THINK,
    ),
    Written(
        "deepseek3.2",
        _invoked(
            "<｜DSML｜function_calls>",
            "</｜DSML｜function_calls>",
            "｜DSML｜",
            lambda value: f' string="{compact(isinstance(value, str))}"',
        ),
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="now">now',
        ("<think>", "</think>"),
    ),
    Written(
        "seed-oss",
        each(_seed),
        "<seed:tool_call>\nnow()\n</seed:tool_call>",
        ("<seed:think>", "</seed:think>"),
    ),
    Written(
        "hunyuan",
        _listed("<tool_calls>", "</tool_calls>"),
        "<tool_calls>now</tool_calls>",
        _THINK,
        ("<answer>\n", "\n</answer>"),
    ),
    Written("nemotron-nano-v2", _listed("<TOOLCALL>", "</TOOLCALL>"), "<TOOLCALL>[]</TOOLCALL>", _THINK),
    Written("phi4-mini", _listed("functools"), "functools now"),
    Written(
        "phi4-mini",
        _listed("<|tool_call|>", "<|/tool_call|>"),
        "<|tool_call|>now<|/tool_call|>",
        variant=" in tags",
    ),
    Written(
        "internlm",
        each(
            lambda *call: (
                f"<|action_start|><|plugin|>{compact(_object(*call, key='parameters'))}<|action_end|>"
            )
        ),
        '<|action_start|>{"name": "now"}',
    ),
    Written(
        "gigachat",
        each(lambda *call: f"<|function_call|>{compact(_object(*call))}"),
        "<|function_call|>now",
    ),
    Written(
        "apertus",
        lambda calls: f"<|tools_prefix|>{compact([dict([call]) for call in calls])}<|tools_suffix|>",
        '<|tools_prefix|>[{"now": 5}]<|tools_suffix|>',
        ("<|inner_prefix|>", "<|inner_suffix|>"),
    ),
    Written(
        "llama4",
        lambda calls: f"[{', '.join(_python(*call) for call in calls)}]",
        "[now, or later]",
        between="",
    ),
    Written(
        "llama4",
        lambda calls: f"<|python_start|>[{', '.join(_python(*call) for call in calls)}]<|python_end|>",
        "<|python_start|>import os<|python_end|>",
        variant=" python start",
    ),
    Written(
        "generic",
        each(lambda *call: compact(_object(*call)), "\n"),
        '{"name": "forecast"}',
        between="",
    ),
]


def parsed(family: str, *pieces: str, **asked: Any) -> list[Part]:
    """The parts of an answer that comes in `pieces`, neighbouring text in one."""
    return merged(fed(parser(family, **asked), *pieces))


def parser(family: str, **asked: Any) -> Parser:
    defaults: dict[str, Any] = {"tools": TOOLS, "think": None, "prompt": "", "last": Message(role="user")}
    return parser_for(family, **(defaults | asked))


def fed(parser: Parser, *pieces: str) -> list[Part]:
    return [part for piece in pieces for part in parser.feed(piece)] + parser.finish()


def merged(parts: list[Part]) -> list[Part]:
    result: list[Part] = []
    for part in parts:
        before = result[-1] if result else None
        if isinstance(part, Called) or type(before) is not type(part) or isinstance(before, Called):
            result.append(part)
        else:
            assert before
            result[-1] = type(part)(before.text + part.text)
    return result


def called(*calls: Call) -> list[Part]:
    return [Called(*call) for call in calls]


def content(text: str) -> list[Part]:
    return [Content(text)] if text else []


def thought(text: str) -> list[Part]:
    return [Thinking(text)]
