"""Calls that a model writes without its family's marker, in another's, or to the wrong recipient."""

from __future__ import annotations

import pytest

from puna.chat.parsing import Called, Content, Thought

from .notations import compact
from .reading import NOW, called, content, parsed, thought

OBJECT = compact({"name": "now", "arguments": {}})
LATER = compact({"name": "forecast", "arguments": {"zone": "Oslo"}})
OSLO = ("forecast", {"zone": "Oslo"})
JSON_FAMILIES = ("hermes", "ernie", "llama3", "mistral", "granite", "hunyuan", "phi4-mini", "laguna")

each_json_family = pytest.mark.parametrize("family", JSON_FAMILIES)


def every_way(family: str, text: str, **asked):
    """The parts of `text`, the same letter by letter."""
    whole = parsed(family, text, **asked)
    assert parsed(family, *text, **asked) == whole
    return whole


@each_json_family
def test_an_object_that_names_a_tool_is_a_call_without_its_marker(family: str):
    assert every_way(family, OBJECT) == called(NOW)
    assert every_way(family, f"[{OBJECT}, {LATER}]") == called(NOW, OSLO)
    assert every_way(family, f"Let me see: {LATER} Done.") == [
        Content("Let me see:"),
        *called(OSLO),
        Content(" Done."),
    ]
    assert every_way(family, f"Both.\n[{OBJECT}, {LATER}]") == [Content("Both."), *called(NOW, OSLO)]


@each_json_family
@pytest.mark.parametrize("language", ["json", "", "tool_call"])
def test_a_block_of_code_that_is_a_call(family: str, language: str):
    text = f"Let me see.\n```{language}\n{LATER}\n```"
    assert every_way(family, text) == [Content("Let me see."), *called(OSLO)]


@each_json_family
@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{OBJECT}\nand more\n```",
        f"```python\nx = {compact({'name': 'Ada'})}\n```",
        f"The list [1, 2], the set {{1}}, the object {compact({'name': 'later', 'arguments': {}})}.",
        f"It is {compact({'name': 'forecast', 'arguments': {}})} without its zone.",
        f"data={OBJECT}",
        '{"name": "Ada", "born": 1815}',
        "[[link](there)]",
    ],
)
def test_what_only_looks_like_a_call_is_content(family: str, text: str):
    assert every_way(family, text) == content(text)


@pytest.mark.parametrize(("family", "quote"), [("gemma4", '<|"|>'), ("functiongemma", "<escape>")])
def test_gemmas_calls_without_their_marker(family: str, quote: str):
    later = f"call:forecast{{zone:{quote}Oslo{quote},extra:{{b:[1]}}}}"
    read = called(("forecast", {"zone": "Oslo", "extra": {"b": [1]}}))
    assert every_way(family, later) == read
    assert every_way(family, f"I see.\n{later}\ncall:now{{}}") == [Content("I see."), *read, *called(NOW)]
    for text in ("Who may call:forecast? now{}", "call:forecast{days:3}", "call:other{}", "Recall:now is it"):
        assert every_way(family, text) == content(text)


def test_gemma_4_calls_behind_its_thought():
    text = '<|channel>thought\nOslo it is.<channel|>call:forecast{zone:<|"|>Oslo<|"|>}'
    assert every_way("gemma4", text) == [Thought("Oslo it is."), *called(OSLO)]


@pytest.mark.parametrize("tag", ["tools", "tool", "function_call", "json", "JSON"])
def test_other_families_tags(tag: str):
    assert every_way("hermes", f"So: <{tag}>\n{LATER}\n</{tag}>\nDone.") == [
        Content("So:"),
        *called(OSLO),
        Content("\nDone."),
    ]
    text = f"The tag <{tag}>x</{tag}>."
    assert every_way("hermes", text) == content(text)


@pytest.mark.parametrize("family", ["llama3", "llama4"])
def test_llama_writes_calls_as_python_does_among_text(family: str):
    text = "So: [now(), forecast(zone='Oslo')] and\n[now()] with [links](there) [now] and x[1]."
    assert every_way(family, text) == [
        Content("So:"),
        *called(NOW, OSLO),
        Content(" and"),
        *called(NOW),
        Content("\nwith [links](there) [now] and x[1]."),
    ]


def test_nothing_is_a_slip_without_tools():
    for text in (OBJECT, f"So: {OBJECT}", f"```json\n{OBJECT}\n```"):
        assert every_way("hermes", text, tools=[]) == content(text)


def test_a_template_of_no_family_in_jinja_is_read_leniently():
    text, jinja = f"So: {OBJECT}", "{% for message in messages %}{{ message.content }}{% endfor %}"
    assert every_way("generic", text, template=jinja) == [Content("So:"), *called(NOW)]
    assert every_way("generic", text) == content(text)


def test_laguna_mistakes_the_tag():
    call = "forecast\n<arg_key>zone</arg_key>\n<arg_value>Oslo</arg_value>\n"
    assert every_way("laguna", f"A moment.\n<user>{call}</user>\nDone.") == [
        Content("A moment."),
        *called(OSLO),
        Content("\nDone."),
    ]
    assert every_way("laguna", f"<user>\n{LATER}\n</user>") == called(OSLO)
    assert every_way("laguna", f"<user>{call}") == called(OSLO)
    for text in ("<user>hello</user>", "<user>later\n</user>"):
        assert every_way("laguna", text) == content(text)


@pytest.mark.parametrize("end", ["", "\n", "</", "\n</tool_ca", "</tool_call>"])
def test_glm_may_be_cut_within_the_last_tag(end: str):
    text = f"<tool_call>forecast\n<arg_key>zone</arg_key>\n<arg_value>Oslo</arg_value>{end}"
    assert every_way("glm", text) == called(OSLO)


def test_glm_calls_within_its_reasoning():
    text = "hm\n<tool_call>now\n</tool_call>"
    assert every_way("glm", text, prompt="<think>") == [Thought("hm"), *called(NOW)]


ATEM = '<atem:function_calls>\n<atem:invoke name="now">\n</atem:invoke>\n</atem:function_calls>'


@pytest.mark.parametrize("header", [" to=now", " to=now.now", " to=user", " to=atem", ""])
@pytest.mark.parametrize("end", ["<|eom|>", "<|eot|>", "\n", "", "<|start|>assistant to=user<|message|>"])
def test_glimmers_message_that_is_a_call(header: str, end: str):
    assert every_way("glimmer", f"{header}<|message|>{ATEM}{end}") == called(NOW)


@pytest.mark.parametrize("around", [("Like this:\n", ""), ("", "\nSo it goes."), ("", f"\n{ATEM}?")])
def test_glimmer_quotes_a_call_to_a_person(around: tuple[str, str]):
    text = ATEM.join(around)
    assert every_way("glimmer", f" to=user<|message|>{text}<|eot|>") == content(text)


def test_glimmer_thinks_of_a_call():
    text = f" to=self<|message|>Perhaps {ATEM} or <|start|> so.<|eom|><|start|>assistant to=user<|message|>Hi"
    assert every_way("glimmer", text) == [*thought(f"Perhaps {ATEM} or <|start|> so."), *content("Hi")]


@pytest.mark.parametrize("name", ['now<|message|>">', 'n<|message|>ow">', "forecast<|message|>"])
def test_glimmer_mistakes_the_end_of_a_name(name: str):
    zone = '<atem:parameter name="zone">Oslo</atem:parameter>' if name.startswith("forecast") else "\n"
    text = f'<atem:function_calls>\n<atem:invoke name="{name}{zone}</atem:invoke></atem:function_calls>'
    expected = OSLO if name.startswith("forecast") else NOW
    assert every_way("glimmer", f" to={expected[0]}<|message|>{text}") == called(expected)


def test_harmony_names_two_channels():
    slip = "<|channel|>commentary to=assistant"
    thinking = f"{slip}<|channel|>analysis<|message|>hm<|end|>"
    answer = f"<|start|>assistant{slip}<|channel|>final<|message|>Hi"
    assert every_way("harmony", thinking + answer) == [*thought("hm"), *content("Hi")]


def test_harmony_writes_to_a_tool_of_its_own():
    text = "<|channel|>commentary to=python <|constrain|>code<|message|>print(1)"
    assert every_way("harmony", text) == content("print(1)")


@pytest.mark.parametrize("marker", ["<｜tool_calls_begin｜>", "<｜tool calls begin｜>", "<｜tool▁calls｜>"])
def test_deepseeks_distilled_models_misspell(marker: str):
    text = f"{marker}<｜tool▁call▁begin｜>now<｜tool▁sep｜>{{}}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
    assert every_way("deepseek", text) == called(NOW)


def test_deepseek_says_what_is_text():
    def written(*values: tuple[str, str, str]) -> str:
        inner = "".join(
            f'<｜DSML｜parameter name="{name}" string="{is_text}">{value}</｜DSML｜parameter>\n'
            for name, is_text, value in values
        )
        call = f'<｜DSML｜invoke name="forecast">\n{inner}</｜DSML｜invoke>'
        return f"<｜DSML｜tool_calls>\n{call}\n</｜DSML｜tool_calls>"

    values = [("zone", "true", "5"), ("days", "false", "5"), ("new", "false", "[1]"), ("old", "true", "1")]
    arguments = {"zone": "5", "days": 5, "new": [1], "old": "1"}
    assert every_way("deepseek3.2", written(*values)) == called(("forecast", arguments))


@pytest.mark.parametrize("key", ["arguments", "input"])
@pytest.mark.parametrize("is_text", ["true", "false"])
def test_deepseek_puts_all_arguments_into_one(key: str, is_text: str):
    def written(value: str) -> str:
        given = f'<｜DSML｜parameter name="{key}" string="{is_text}">{value}</｜DSML｜parameter>'
        call = f'<｜DSML｜invoke name="forecast">\n{given}\n</｜DSML｜invoke>'
        return f"<｜DSML｜tool_calls>\n{call}\n</｜DSML｜tool_calls>"

    assert every_way("deepseek3.2", written('{"zone": "Oslo"}')) == called(("forecast", {"zone": "Oslo"}))
    for value in ('{"zone": "Oslo", "place": 1}', "[1]", "Oslo"):
        [call] = every_way("deepseek3.2", written(value))
        assert isinstance(call, Called)
        assert [*call.arguments] == [key]


def test_deepseek_without_the_outer_tag():
    call = '<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n'
    end = "</｜DSML｜tool_calls>"
    for text in (call, call + end, f"<｜DSML｜toolcalls>\n{call}{end}"):
        assert every_way("deepseek3.2", f"So:\n{text}") == [Content("So:"), *called(NOW)]
    for name in ("later", "forecast"):
        other = call.replace("now", name)
        assert every_way("deepseek3.2", other) == content(other)


def test_kimi_without_ends():
    text = "hm<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}"
    assert every_way("kimi-k2", text, prompt="<think>") == [Thought("hm"), *called(NOW)]
    again = "<|tool_call_begin|>forecast:1 <|tool_call_argument_begin|> " + compact(OSLO[1])
    assert every_way("kimi-k2", text.removeprefix("hm") + again) == called(NOW, OSLO)


def test_gigachat_closes_its_text_before_a_call():
    text = "A moment.<|message_sep|>\n\nfunction call<|role_sep|>\n" + LATER
    assert every_way("gigachat", text) == [Content("A moment."), *called(OSLO)]
    assert every_way("gigachat", "Hello.<|message_sep|>\n\n") == content("Hello.")


def test_minicpm_encloses_values_with_tags():
    text = (
        '<function name="forecast"><param name="zone"><![CDATA[<a> & "b"</param>\n]]></param>'
        '<param name="days">2</param></function>'
    )
    given = {"zone": '<a> & "b"</param>\n', "days": 2}
    assert every_way("minicpm5", text) == called(("forecast", given))
    assert every_way("minicpm5", f"So:\n{text}\n{text}") == [Content("So:"), *called(("forecast", given)) * 2]
    assert every_way("minicpm5", "A <function of x>.") == content("A <function of x>.")


def test_apriel_reasons_before_its_final_response():
    answer = "hm\n[BEGIN FINAL RESPONSE]\nYes.\n[END FINAL RESPONSE]"
    expected = [Thought("hm"), Content("Yes.")]
    assert (
        every_way("apriel", answer, prompt="<|begin_assistant|>\nHere are my reasoning steps:\n") == expected
    )
    assert every_way("apriel", f"Here are my reasoning steps:\n{answer}") == expected


def test_lfm_repeats_its_calls():
    calls = "[forecast(zone='[Oslo]', days=2)]<|tool_call_end|>"
    expected = called(("forecast", {"zone": "[Oslo]", "days": 2}))
    assert every_way("lfm2", f"<|tool_call_start|>{calls}{calls}") == expected
    assert every_way("lfm2", f"<|tool_call_start|>{calls}\n{calls}\nDone.") == [*expected, Content("Done.")]
    for after in ("[1] is a note.", "[see", "[x](y) [z]<|tool_call_end|>"):
        assert every_way("lfm2", f"<|tool_call_start|>{calls}{after}") == [*expected, Content(after)]
