"""Reasoning: where it begins and ends, and what becomes of it when nobody wanted it."""

from __future__ import annotations

import pytest

from puna.chat.parsing import Content, Thought
from puna.types import Message

from .reading import NOW, called, parsed, thought

PROMPT = "<|im_start|>assistant\n<think>\n"


def test_white_space_around_reasoning_is_notation():
    assert parsed("qwen3", "\n<think>\n\n hm \n hm\n\n</think>\n\n\nYes. \n") == [
        Thought("hm \n hm"),
        Content("Yes. \n"),
    ]


def test_without_reasoning_white_space_is_kept():
    assert parsed("qwen3", *"\n\n Yes.\n") == [Content("\n\n Yes.\n")]


@pytest.mark.parametrize("answer", ["hm</think>Yes.", "\n<think>\nhm\n</think>\nYes."])
def test_reasoning_that_the_prompt_began_may_begin_again(answer: str):
    for pieces in ([answer], [*answer]):
        assert parsed("qwen3", *pieces, prompt=PROMPT) == [Thought("hm"), Content("Yes.")]


@pytest.mark.parametrize("prompt", ["<|im_start|>assistant\n", PROMPT, f"{PROMPT}\n</think>\n\n"])
def test_reasoning_that_ends_before_it_began(prompt: str):
    for pieces in (["\n</think>\n\nYes."], [*"\n</think>\n\nYes."]):
        assert parsed("qwen3", *pieces, prompt=prompt) == [Content("Yes.")]


def test_a_closing_tag_is_notation_only_at_the_beginning():
    answer = "</think>Yes."
    assert parsed("qwen3", answer, think=False, prompt=f"{PROMPT}\n</think>\n\n") == [Content("Yes.")]
    assert parsed("laguna", answer, think=False, prompt="</think>") == [Content("Yes.")]
    assert parsed("qwen3", "Yes.</think>") == [Content("Yes.</think>")]


def test_gemma_opens_and_closes_too_often():
    answer = "<|channel><|channel>thought\nhm<channel|>Yes.<channel|>"
    assert parsed("gemma4", *answer) == [Thought("hm"), Content("Yes.")]


@pytest.mark.parametrize("opened", ["<|channel>thought\n", "<|channel>thought"])
def test_gemmas_name_of_the_channel_is_not_reasoning(opened: str):
    assert parsed("gemma4", *f"{opened}<channel|>Yes.") == [Content("Yes.")]
    assert parsed("gemma4", *f"{opened}\nhm<channel|>Yes.") == [Thought("hm"), Content("Yes.")]


def test_reasoning_that_never_ends_is_reasoning():
    assert parsed("qwen3", "hm </thin", prompt=PROMPT) == thought("hm </thin")


def test_reasoning_that_the_prompt_closed_is_over():
    answer = parsed("qwen3", "Yes.", prompt=f"{PROMPT}\n</think>\n\n", think=False)
    assert answer == [Content("Yes.")]


def test_a_prompt_that_speaks_of_the_tag_does_not_open_it():
    assert parsed("qwen3", "Yes.", prompt="What is <think>?\n<|im_start|>assistant\n") == [Content("Yes.")]


def test_an_answer_that_goes_on_is_content():
    last = Message(role="assistant", content="The tag <think>")
    assert parsed("qwen3", " begins", prompt="The tag <think>", last=last) == [Content(" begins")]


def test_reasoning_that_goes_on_is_reasoning():
    last = Message(role="assistant", thinking="hm")
    parts = parsed("qwen3", " and hm</think>Yes.", prompt=f"{PROMPT}hm", last=last)
    assert parts == [Thought("and hm"), Content("Yes.")]


def test_tags_are_reasoning_only_at_the_beginning():
    assert parsed("qwen3", "The tags <think>x</think>.") == [Content("The tags <think>x</think>.")]
    assert parsed("ministral", "So: [THINK]x[/THINK] Yes.") == [
        Content("So:"),
        Thought("x"),
        Content(" Yes."),
    ]


def test_a_call_ends_reasoning_where_models_forget_to():
    answer = 'hm\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    assert parsed("qwen3", *answer, prompt=PROMPT) == [Thought("hm"), *called(NOW)]
    assert parsed("granite", answer, prompt=PROMPT) == thought(answer)


@pytest.mark.parametrize(
    ("family", "prompt", "call"),
    [
        ("deepseek", "<think>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}"),
        ("deepseek", "<think>", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```"),
        ("gemma4", "<|channel>thought\n", "<|tool_call>call:now{}<tool_call|>"),
    ],
)
def test_a_control_token_of_a_call_ends_reasoning(family: str, prompt: str, call: str):
    assert parsed(family, *f"hm {call}", prompt=prompt) == [Thought("hm"), *called(NOW)]
    assert parsed(family, *f"hm {call}", prompt=prompt, tools=[]) == thought(f"hm {call}")


def test_reasoning_about_calls_goes_on():
    answer = "With <tool_call> tags.</think>Yes."
    assert parsed("qwen3", *answer, prompt=PROMPT) == [Thought("With <tool_call> tags."), Content("Yes.")]


@pytest.mark.parametrize(
    ("family", "answer", "parts"),
    [
        ("qwen3", "<think>hm</think>Yes.", [Content("Yes.")]),
        ("deepseek", "\n<think>\nhm\n</think>\n\nYes.", [Content("Yes.")]),
        ("ministral", "So: [THINK]hm[/THINK] Yes.", [Content("So: Yes.")]),
        ("gemma4", "<|channel>thought\nhm<channel|>Yes.", [Content("Yes.")]),
        ("laguna", "<think>hm</think>Yes.", [Content("Yes.")]),
        ("glimmer", " to=self<|message|>hm<|eom|><|start|>assistant<|message|>Yes.", [Content("Yes.")]),
        (
            "harmony",
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            [Thought("hm"), Content("Yes.")],
        ),
    ],
)
def test_reasoning_that_nobody_wanted(family: str, answer: str, parts: list):
    assert parsed(family, answer, think=False) == parts
    assert parsed(family, *answer, think=False) == parts


def test_reasoning_that_the_prompt_began_is_reasoning_though_nobody_wanted_it():
    parts = parsed("olmo3-think", "hm</think>Yes.", prompt="<|assistant|>\n<think>", think=False)
    assert parts == [Thought("hm"), Content("Yes.")]


def test_gemma_goes_on_reasoning_after_a_tool():
    parts = parsed(
        "gemma4", "hm<channel|>Yes.", prompt="<tool_response|><|channel>thought\n", last=Message(role="tool")
    )
    assert parts == [Thought("hm"), Content("Yes.")]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("<|start|>assistant", "<|channel|>final<|message|>Yes. <|return|>"),
        ("<|start|>assistant<|channel|>", "final<|message|>Yes. "),
        ("<|start|>assistant<|channel|>final<|message|>", "Yes. "),
        ("<|start|>user<|message|>Hi<|end|>", "<|start|>assistant<|channel|>final<|message|>Yes. "),
        ("", "Yes. "),
    ],
)
def test_harmony_goes_on_where_the_prompt_ends(prompt: str, answer: str):
    assert parsed("harmony", *answer, prompt=prompt) == [Content("Yes. ")]


def test_harmony_forgets_ends_and_starts():
    answer = "<|channel|>analysis<|message|>hm <|channel|>final<|message|>Yes."
    assert parsed("harmony", *answer) == [Thought("hm "), Content("Yes.")]


def test_tags_are_learnt_from_a_go_template():
    template = (
        "{{ range .Messages }}{{ if and .Thinking $.Think }}<reason>\n{{ .Thinking }}\n</reason>{{ end }}"
        "{{ .Content }}{{ end }}"
    )
    parts = parsed("generic", *"<reason>hm</reason>Yes.", template=template)
    assert parts == [Thought("hm"), Content("Yes.")]
