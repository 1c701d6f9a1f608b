"""Answers as each family's models write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from .notations import (
    Call,
    atem,
    cohere,
    compact,
    deepseek,
    each,
    entry,
    functions,
    gemma,
    glm,
    harmony,
    hy,
    invoked,
    kimi,
    kimi_k3,
    listed,
    minicpm,
    minimax_m3,
    plamo,
    python,
    seed,
    solar,
)


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


_THINK = ("<think>\n", "\n</think>\n\n")
_TAGGED = each(lambda *call: f"<tool_call>\n{compact(entry(*call))}\n</tool_call>")
_BARE = each(lambda *call: compact(entry(*call, key="parameters")), "; ")
_IN_GEMMA4 = gemma('<|"|>')
_ESCAPED = gemma("<escape>")

WRITTEN = [
    Written("hermes", _TAGGED, '<tool_call>\n{"name": "now", "arguments": {]}\n</tool_call>', _THINK),
    Written("qwen3-vl-thinking", _TAGGED, "<tool_call>\nnow()\n</tool_call>", _THINK),
    Written(
        "hermes",
        lambda calls: f"<tool_call>{''.join(compact(entry(*call)) for call in calls)}</tool_call>",
        '<tool_call>{"name": ""}</tool_call>',
        variant=" all in one tag",
    ),
    Written("qwen3-coder", each(functions), "<tool_call>\n<function=now>\nzone\n</function>\n</tool_call>"),
    Written(
        "qwen3-coder",
        each(lambda *call: functions(*call).removeprefix("<tool_call>\n")),
        "<function=now>?",
        variant=" without the first tag",
    ),
    Written("qwen3.5", each(functions), "<tool_call>\nnow\n</tool_call>", _THINK),
    Written("nemotron-3-nano", each(functions), "<tool_call>[]</tool_call>", _THINK),
    Written(
        "llama3",
        _BARE,
        '{"name": "now", "parameters": 5}',
        between="",
    ),
    Written(
        "llama3",
        lambda calls: "<|python_tag|>" + "; ".join(compact(entry(*call, key="parameters")) for call in calls),
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
        lambda calls: "[TOOL_CALLS]" + compact([{**entry(*call), "id": "abcdefghi"} for call in calls]),
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
        each(harmony, ""),
        "<|start|>assistant<|channel|>commentary to=functions.now<|message|>[1]",
        ("<|channel|>analysis<|message|>", "<|end|>"),
        ("<|start|>assistant<|channel|>commentary<|message|>", "<|end|>"),
        between="",
    ),
    Written(
        "deepseek",
        deepseek(lambda name, arguments: f"{name}<｜tool▁sep｜>{compact(arguments)}"),
        "<｜tool▁calls▁begin｜>now<｜tool▁sep｜>{}<｜tool▁calls▁end｜>",
        _THINK,
    ),
    Written(
        "cogito",
        deepseek(lambda name, given: f"function<｜tool▁sep｜>{name}\n```json\n{compact(given)}\n```"),
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\nno\n```<｜tool▁call▁end｜>",
        _THINK,
    ),
    Written("glm", each(glm), "<tool_call>now\n<arg_key>zone</arg_key>\n</tool_call>", _THINK),
    Written("laguna", each(glm), "<tool_call>!</tool_call>", _THINK),
    Written(
        "hy3",
        hy(":opensource", "<tool_sep:opensource>"),
        "<tool_calls:opensource>\n<tool_call:opensource>now\n</tool_calls:opensource>",
        ("<think:opensource>", "</think:opensource>"),
    ),
    Written(
        "hy3-preview",
        hy("", "<tool_sep>"),
        "<tool_calls>\n<arg_key>zone</arg_key>\n</tool_calls>",
        ("<think>", "</think>"),
    ),
    Written(
        "hy4",
        hy(":6124c78e", "", gap=""),
        "<tool_calls:6124c78e>now<tool_call:6124c78e>",
        ("<think:6124c78e>", "</think:6124c78e>"),
    ),
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
        lambda calls: f"<|START_ACTION|>{compact(cohere(calls))}<|END_ACTION|>",
        '<|START_ACTION|>[{"tool": 1}]<|END_ACTION|>',
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|START_TEXT|>", "<|END_TEXT|>"),
    ),
    Written(
        "cohere",
        lambda calls: f"Action: ```json\n{json.dumps(cohere(calls), indent=4)}\n```",
        "Action: ```python\nnow()\n```",
        variant=" fenced",
    ),
    Written(
        "granite",
        lambda calls: f"<|tool_call|>{compact([entry(*call) for call in calls])}",
        "<|tool_call|> none",
        _THINK,
    ),
    Written(
        "granite3.2",
        lambda calls: f"<|tool_call|>{compact([entry(*call) for call in calls])}",
        "<|tool_call|> none",
        ("Here is my thought process:\n\n", "\n\nHere is my response:\n\n"),
    ),
    Written("granite", _TAGGED, "<tool_call>none</tool_call>", variant=" 4"),
    Written(
        "lfm2",
        lambda calls: f"<|tool_call_start|>[{', '.join(python(*call) for call in calls)}]<|tool_call_end|>",
        "<|tool_call_start|>[now(5)]<|tool_call_end|>",
        _THINK,
    ),
    Written(
        "lfm2",
        listed("<|tool_call_start|>", "<|tool_call_end|>"),
        '<|tool_call_start|>[{"now": 5}]<|tool_call_end|>',
        _THINK,
        variant=" in JSON",
    ),
    Written(
        "olmo3",
        lambda calls: "<function_calls>" + "\n".join(python(*call) for call in calls) + "</function_calls>",
        "<function_calls>now</function_calls>",
        _THINK,
    ),
    Written(
        "glimmer",
        each(atem, ""),
        '<atem:function_calls>\n<atem:invoke name="now">\nnow\n</atem:invoke>',
        (" to=self<|message|>", "<|eom|>"),
        ("<|start|>assistant to=user<|message|>", "<|eom|>"),
        between="",
    ),
    Written("ernie", _TAGGED, "<tool_call>none</tool_call>", _THINK, ("<response>\n", "\n</response>")),
    Written(
        "kimi-k2",
        kimi,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.now.0 {}<|tool_calls_section_end|>",
        ("<think>", "</think>"),
    ),
    Written(
        "kimi-k2",
        lambda calls: kimi(calls).removeprefix("<|tool_calls_section_begin|>"),
        "<|tool_call_begin|>functions.now:0 {}",
        variant=" without a section",
    ),
    Written(
        "kimi-k3",
        kimi_k3,
        '<|open|>tools<|sep|><|open|>call index="1"<|sep|><|close|>tools<|sep|>',
        ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    ),
    Written(
        "minimax-m3",
        minimax_m3,
        ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="now">now]<]minimax[>[</invoke>',
        ("<mm:think>", "</mm:think>"),
    ),
    Written(
        "minimax-m2",
        invoked("<minimax:tool_call>", "</minimax:tool_call>"),
        "<minimax:tool_call>\n<invoke>\n</invoke>\n</minimax:tool_call>",
        _THINK,
    ),
    Written(
        "deepseek3.2",
        invoked(
            "<｜DSML｜function_calls>",
            "</｜DSML｜function_calls>",
            "｜DSML｜",
            lambda value: f' string="{compact(isinstance(value, str))}"',
        ),
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="now">now',
        ("<think>", "</think>"),
    ),
    Written(
        "gigachat3.5",
        invoked(
            "<｜GCML｜tool_calls>",
            "</｜GCML｜tool_calls>",
            "｜GCML｜",
            lambda value: f' string="{compact(isinstance(value, str))}"',
        ),
        '<｜GCML｜tool_calls>\n<｜GCML｜invoke name="now">now',
        ("<think>", "</think>"),
    ),
    Written(
        "seed-oss",
        each(seed),
        "<seed:tool_call>\nnow()\n</seed:tool_call>",
        ("<seed:think>", "</seed:think>"),
    ),
    Written(
        "hunyuan",
        listed("<tool_calls>", "</tool_calls>"),
        "<tool_calls>now</tool_calls>",
        _THINK,
        ("<answer>\n", "\n</answer>"),
    ),
    Written(
        "hunyuan",
        lambda calls: f"<tool_calls>\n{each(lambda *call: compact(entry(*call)))(calls)}\n</tool_calls>",
        "<tool_calls>\nnow\n</tool_calls>",
        variant=" a line each",
    ),
    Written(
        "apriel",
        listed("<tool_calls>", "</tool_calls>"),
        "<tool_calls>now</tool_calls>",
        ("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),
        ("", "\n[END FINAL RESPONSE]"),
    ),
    Written(
        "solar-open",
        solar,
        "<|tool_calls|><|tool_call:begin|>now<|tool_call:args|>{}<|tool_call:end|>",
        ("<|think|>", "<|end|><|begin|>assistant"),
        ("<|content|>", "<|end|><|begin|>assistant"),
        between="",
    ),
    Written(
        "functionary",
        each(lambda name, given: f">>>{name}\n{compact(given)}", ""),
        ">>>now\nnow",
        text=(">>>all\n", ""),
    ),
    Written(
        "longcat",
        lambda calls: (
            each(glm)(calls).replace("arg_", "longcat_arg_").replace("tool_call", "longcat_tool_call")
        ),
        "<longcat_tool_call>now\n<longcat_arg_key>zone</longcat_arg_key>\n</longcat_tool_call>",
        ("<longcat_think>\n", "\n</longcat_think>\n"),
    ),
    Written(
        "longcat",
        each(lambda *call: f"<longcat_tool_call>\n{compact(entry(*call))}\n</longcat_tool_call>", ""),
        "<longcat_tool_call>!</longcat_tool_call>",
        ("<longcat_think>\n", "\n</longcat_think>\n"),
        variant=" in JSON",
    ),
    Written(
        "pangu",
        listed("[unused11]", "[unused12]"),
        "[unused11]now[unused12]",
        ("[unused16]", "[unused17]"),
    ),
    Written(
        "plamo3",
        plamo,
        "<|plamo:begin_tool_requests:plamo|>now<|plamo:end_tool_requests:plamo|>",
        ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    ),
    Written(
        "dots",
        invoked("<dots_function_call>", "</dots_function_call>"),
        "<dots_function_call>\n<invoke>\n</invoke>\n</dots_function_call>",
        _THINK,
    ),
    Written("minicpm5", each(minicpm), '<function name="now">zone</function>', _THINK),
    Written("nemotron-nano-v2", listed("<TOOLCALL>", "</TOOLCALL>"), "<TOOLCALL>[]</TOOLCALL>", _THINK),
    Written("phi4-mini", listed("functools"), "functools now"),
    Written(
        "phi4-mini",
        listed("<|tool_call|>", "<|/tool_call|>"),
        "<|tool_call|>now<|/tool_call|>",
        variant=" in tags",
    ),
    Written(
        "internlm",
        each(
            lambda *call: f"<|action_start|><|plugin|>{compact(entry(*call, key='parameters'))}<|action_end|>"
        ),
        '<|action_start|>{"name": "now"}',
    ),
    Written(
        "gigachat",
        each(lambda *call: f"<|function_call|>{compact(entry(*call))}"),
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
        lambda calls: f"[{', '.join(python(*call) for call in calls)}]",
        "[now, or later]",
        between="",
    ),
    Written(
        "llama4",
        lambda calls: f"<|python_start|>[{', '.join(python(*call) for call in calls)}]<|python_end|>",
        "<|python_start|>import os<|python_end|>",
        variant=" python start",
    ),
    Written(
        "generic",
        each(lambda *call: compact(entry(*call)), "\n"),
        '{"name": "forecast"}',
        between="",
    ),
]
