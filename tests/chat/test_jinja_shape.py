"""Conversations fitted to what a Jinja template accepts, and answers that are to be continued."""

from __future__ import annotations

import pytest

from puna.chat import Prompt, can_think, jinja
from puna.errors import BadRequest
from puna.types import MediaFile, Message

from .conversations import chat, tool_chat

GEMMA = """{{ bos_token }}{% if messages[0].role == 'system' %}\
{{ raise_exception('System role not supported') }}\
{% endif %}{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% set role = 'model' if message.role == 'assistant' else message.role %}\
{{ '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"""
PAIRS = (
    "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% elif m.role == 'assistant' %}"
    "({{ m.content }}){% endif %}{% endfor %}"
)
PARTS = (
    "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{{ p.text + ';' }}{% endfor %}{% endfor %}"
)
BLOCKS = """{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}\
{% for block in m.content %}\
{{ '[THINK]' + block.thinking + '[/THINK]' if block['type'] == 'thinking' else block['text'] }}\
{% endfor %}{% endif %}{% endfor %}"""
REASONING = """{% for m in messages %}\
{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}\
{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<begin>{% endif %}"""


def render(source: str, prompt: Prompt) -> str:
    return jinja(source, bos="<bos>", eos="<eos>").render(prompt)


def test_a_system_message_that_is_refused_goes_before_the_question() -> None:
    expected = "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n"
    assert render(GEMMA, chat("system: Be brief.", "user: Hi")) == expected
    assert render(GEMMA, chat("system: Be", "user: brief.\n\nHi")) != expected
    assert render(GEMMA, chat("system: Be brief.")) == expected.replace("\n\nHi", "")


def test_a_system_message_that_would_not_show_goes_before_the_question() -> None:
    asked = chat("system: Be brief.", "system: Be kind.", "user: Hi", "assistant: Yes?", "user: No.")
    assert render(PAIRS, asked) == "[Be brief.\n\nBe kind.\n\nHi](Yes?)[No.]"


def test_neighbours_of_one_role_are_one_where_roles_must_alternate() -> None:
    assert "user\nHi\n\nWho are you?<end" in render(GEMMA, chat("user: Hi", "user: Who are you?"))
    assert render(PAIRS, chat("user: Hi", "user: Who are you?")) == "[Hi][Who are you?]"


def test_what_cannot_be_mended_is_refused_in_the_templates_words() -> None:
    with pytest.raises(BadRequest, match=r"^Conversation roles must alternate"):
        render(GEMMA, chat("assistant: Hi", "user: Who are you?"))


def test_later_system_messages_join_the_first_where_it_must_be_first() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
        "{{ raise_exception('System message must be at the beginning.') }}{% endif %}"
        "{{ m.role }}={{ m.content }};{% endfor %}"
    )
    asked = chat("system: a", "user: b", "system: c", "user: d")
    assert render(source, asked) == "system=a\n\nc;user=b\n\nd;"


IDENTIFIED = (
    "{% for m in messages %}{% if m.tool_calls %}{% for call in m.tool_calls %}"
    "{% if call.id|length != 9 %}{{ raise_exception('nine characters') }}{% endif %}{{ call.id }} "
    "{% endfor %}{% elif m.role == 'tool' %}{{ m.content }}={{ m.tool_call_id }} "
    "{% else %}{{ m.content }} {% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("ids", "answered", "expected"),
    [
        (("call_1", "abcdef123"), ("abcdef123", "call_1"), "Q 000000001 abcdef123 a=abcdef123 b=000000001 "),
        ((None, None), ("", ""), "Q 000000001 000000002 a=000000001 b=000000002 "),
        (
            ("abcdef123", "abcdef124"),
            ("abcdef123", "abcdef124"),
            "Q abcdef123 abcdef124 a=abcdef123 b=abcdef124 ",
        ),
    ],
)
def test_ids_are_made_fit_where_a_template_refuses_them(
    ids: tuple[str | None, ...], answered: tuple[str, ...], expected: str
) -> None:
    made = [{"function": {"name": "f", "arguments": {}}} | ({"id": each} if each else {}) for each in ids]
    answers = [
        Message(role="tool", content=said, tool_call_id=each)
        for said, each in zip("ab", answered, strict=True)
    ]
    asked = [Message(role="user", content="Q"), Message(role="assistant", tool_calls=made), *answers]
    assert jinja(IDENTIFIED, bos="", eos="").render(Prompt(messages=asked)) == expected


def test_a_developers_message_is_the_systems_where_the_role_is_refused() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'developer' %}{{ raise_exception('no') }}{% endif %}"
        "{{ m.role }}:{{ m.content }} {% endfor %}"
    )
    asked = chat("developer: Be brief.", "user: Hi")
    assert jinja(source, bos="", eos="").render(asked) == "system:Be brief. user:Hi "


def test_content_in_parts_where_text_will_not_do() -> None:
    picture = Message(role="user", content="What?", images=[MediaFile(b"1")])
    assert render(PARTS, chat("system: Be brief.", "user: Hi")) == "system:Be brief.;user:Hi;"
    assert render(PARTS, Prompt(messages=[picture])) == "user:<__media__>What?;"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("What?", "[<__media__><__media__>What?]"),
        ("This [img] or", "[<__media__>This <__media__> or]"),
        ("<__media__> or <__media__>?", "[<__media__> or <__media__>?]"),
    ],
)
def test_pictures_stand_where_the_text_has_them_or_in_front(content: str, expected: str) -> None:
    asked = Message(role="user", content=content, images=[MediaFile(b"1"), MediaFile(b"2")])
    assert render(PAIRS, Prompt(messages=[asked])) == expected


def test_thinking_as_a_part_of_the_content() -> None:
    thought = Message(role="assistant", content="4", thinking="2+2")
    asked = Prompt(messages=[thought, Message(role="user", content="Sure?")])
    assert render(BLOCKS, asked) == "[THINK]2+2[/THINK]4Sure?"


@pytest.mark.parametrize("begun", ["Once upon", "Once upon a ", "{{ x }}", "Hi"])
def test_an_answer_that_was_begun_is_left_open(begun: str) -> None:
    asked = chat("user: Hi", f"assistant: {begun}")
    assert render(REASONING, asked) == f"Hi<end>{begun}"
    assert render(GEMMA, asked).endswith(f"<start_of_turn>model\n{begun}")
    closed = chat("user: Hi", f"assistant: {begun}", add_generation_prompt=False)
    assert render(REASONING, closed) == f"Hi<end>{begun}<end>"


def test_thinking_that_was_begun_is_left_open_where_it_shows() -> None:
    begun = [Message(role="user", content="2+2?"), Message(role="assistant", thinking="It is")]
    assert render(REASONING, Prompt(messages=begun)) == "2+2?<end><think>It is"
    assert render(GEMMA, Prompt(messages=begun)) == render(GEMMA, chat("user: 2+2?"))


def test_text_beside_calls_is_thinking_where_both_are_refused() -> None:
    source = (
        "{% for m in messages %}{% if m.tool_calls and m.content and m.thinking %}"
        "{{ raise_exception('Cannot pass both') }}{% endif %}({{ m.thinking }}|{{ m.content }}){% endfor %}"
    )
    asked = tool_chat()
    call = Message(
        role="assistant", content="I look.", thinking="Hm.", tool_calls=asked.messages[1].tool_calls
    )
    messages = [asked.messages[0], call, asked.messages[2]]
    assert "(Hm.\n\nI look.|)" in render(source, Prompt(messages=messages))


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_thinking_has_every_name_that_templates_give_it(key: str) -> None:
    asked = Prompt(
        messages=[Message(role="assistant", content="Yes.", thinking="Hm."), *chat("user: Hi").messages]
    )
    source = f"{{% for m in messages %}}{{{{ m.{key} | default('-') }}}};{{% endfor %}}"
    assert render(source, asked) == "Hm.;-;"


def test_content_beside_calls_is_none_only_where_that_works() -> None:
    asks = "{% for m in messages %}{{ 'call' if m.content is none else m.content }}{% endfor %}"
    needs = (
        "{% for m in messages %}{% if m.content is not none %}{% endif %}{{ m.content + ';' }}{% endfor %}"
    )
    assert render(asks, tool_chat()) == "How is the weather?callsunny"
    assert render(needs, tool_chat()) == "How is the weather?;;sunny;"


@pytest.mark.parametrize(
    ("system", "call"),
    [
        ("<|im_start|> List of tools: [", '<|tool_call_start|>[get_weather(city="Oslo")]<|tool_call_end|>\n'),
        ("<|tool_call|>", '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]'),
        (
            "<tool_call>",
            '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
        ),
        ("[TOOL_CALLS]", ""),
    ],
)
def test_calls_that_a_template_omits_are_in_the_text_of_families_that_write_them(
    system: str, call: str
) -> None:
    source = f"{{% set s = '{system}' %}}{{% for m in messages %}}{{{{ m.content }}}};{{% endfor %}}"
    made = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    asked = [
        Message(role="user", content="Hi"),
        Message(role="assistant", content="So:", tool_calls=[made]),
        Message(role="user", content="Yes."),
    ]
    text = f"{call}So:" if call.endswith("\n") else f"So:{call}"
    assert render(source, Prompt(messages=asked)) == f"Hi;{text};Yes.;"
    printed = "{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}"
    shown = source.replace("{{ m.content }}", "{{ m.content }}" + printed)
    assert render(shown, Prompt(messages=asked)) == "Hi;So:get_weather;Yes.;"


SINGLE = {
    "refuses": (
        "{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls|length != 1 %}"
        "{{ raise_exception('single tool-calls') }}{% endif %}"
        "{{ m.content }}({{ m.tool_calls[0].function.name }})"
        "{% else %}{{ m.content }}{% endif %};{% endfor %}"
    ),
    "drops": (
        "{% for m in messages %}{{ m.content }}"
        "{% if m.tool_calls %}({{ m.tool_calls[0].function.name }}){% endif %};{% endfor %}"
    ),
}


@pytest.mark.parametrize("source", SINGLE.values(), ids=SINGLE.keys())
@pytest.mark.parametrize("ids", [("one", "two"), ("two", "one"), ("", "")])
def test_several_calls_are_several_messages_where_a_template_takes_one(
    source: str, ids: tuple[str, str]
) -> None:
    made = [{"id": each, "function": {"name": name}} for each, name in (("one", "f"), ("two", "g"))]
    results = [Message(role="tool", content=each or "result", tool_call_id=each) for each in ids]
    asked = [
        Message(role="user", content="Q"),
        Message(role="assistant", content="Two:", thinking="Hm.", tool_calls=made),
        *results,
        Message(role="user", content="And?"),
    ]
    names = ("g", "f") if ids[0] == "two" else ("f", "g")
    first, second = ("", "Two:") if ids[0] == "two" else ("Two:", "")
    said = [each or "result" for each in ids]
    expected = f"Q;{first}({names[0]});{said[0]};{second}({names[1]});{said[1]};And?;"
    assert render(source, Prompt(messages=asked)) == expected
    unanswered = [*asked[:3], asked[4]]
    assert render(source, Prompt(messages=unanswered)).count("(") == 2


def test_several_calls_stay_together_where_they_show() -> None:
    source = (
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}({{ c.function.name }})"
        "{% endfor %};{% endfor %}"
    )
    made = [{"id": name, "function": {"name": name}} for name in "fg"]
    results = [Message(role="tool", content=name, tool_call_id=name) for name in "fg"]
    asked = [Message(role="user", content="Q"), Message(role="assistant", tool_calls=made), *results]
    assert render(source, Prompt(messages=asked)) == "Q;(f)(g);f;g;"


def test_arguments_sent_as_json_text_are_an_object() -> None:
    function = {"name": "f", "arguments": '{"a": "é", "b": [1]}'}
    asked = Prompt(messages=[Message(role="assistant", tool_calls=[{"function": function}])])
    source = "{% set a = messages[0].tool_calls[0].function.arguments %}{{ a.b[0] }} {{ a | tojson }} {{ a }}"
    assert render(source, asked) == '1 {"a": "é", "b": [1]} {"a": "é", "b": [1]}'


def test_no_tools_are_an_empty_list_to_templates_that_go_through_them() -> None:
    source = "{% for tool in tools %}{{ tool.type }}{% endfor %}{{ messages[0].content }}"
    assert render(source, chat("user: Hi")) == "Hi"
    assert render("{{ tools is none }}{{ messages[0].content }}", chat("user: Hi")) == "TrueHi"


@pytest.mark.parametrize(
    ("think", "plain", "knowing"),
    [
        (None, "-", "-"),
        (True, "-", "-"),
        (False, "-", "none"),
        ("low", "low", "low"),
        ("max", "high", "max"),
    ],
)
def test_levels_of_reasoning_are_ones_the_template_knows(
    think: bool | str | None, plain: str, knowing: str
) -> None:
    source = "{{ reasoning_effort | default('-') }}"
    knows = "{% if reasoning_effort == 'none' or reasoning_effort == \"max\" %}{% endif %}"
    assert render(source, Prompt(think=think)) == plain
    assert render(knows + source, Prompt(think=think)) == knowing


@pytest.mark.parametrize(("think", "level"), [(True, "high"), (False, "no_think"), ("low", "low")])
def test_a_template_that_does_not_think_by_itself_is_told_to(think: bool | str, level: str) -> None:
    source = "{{ reasoning_effort | default('no_think') }}"
    assert render(source, Prompt(think=think)) == level
    assert can_think(source)


@pytest.mark.parametrize(("think", "mode"), [(True, "enabled"), (False, "disabled"), ("low", "enabled")])
def test_a_template_with_modes_of_thinking_gets_one(think: bool | str, mode: str) -> None:
    assert render("{{ thinking_mode }}", Prompt(think=think)) == mode


@pytest.mark.parametrize(
    "name", ["builtin_tools", "keep_past_thinking", "preserve_thinking", "clear_thinking"]
)
def test_switches_nobody_set_are_undefined(name: str) -> None:
    assert render(f"{{{{ {name} is defined }}}}", chat("user: Hi")) == "False"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", '{"b": "é<", "a": [1, 2]}'),
        ("indent=1", '{\n "b": "é<",\n "a": [\n  1,\n  2\n ]\n}'),
        ("separators=(',', ':')", '{"b":"é<","a":[1,2]}'),
        ("sort_keys=true", '{"a": [1, 2], "b": "é<"}'),
        ("ensure_ascii=true", '{"b": "\\u00e9<", "a": [1, 2]}'),
    ],
)
def test_tojson_is_transformers_tojson(arguments: str, expected: str) -> None:
    source = "{{ {'b': 'é<', 'a': [1, 2]} | tojson(ARGUMENTS) }}".replace("ARGUMENTS", arguments)
    assert render(source, chat("user: Hi")) == expected
