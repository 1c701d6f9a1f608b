"""Go's template language. `go_semantics.json` is what Go 1.26 itself makes of each source."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat.gotemplate import FUNCTIONS, Program, Struct, parse
from puna.errors import BadRequest, PunaError

TABLE = json.loads(Path(__file__).with_name("go_semantics.json").read_text("utf-8"))


class Rec(Struct):
    """The Go struct that the table's `.Recs` was made of."""

    go_type = "*main.Rec"


def floats(value: Any) -> Any:
    """JSON as Go decodes it: every number a float64."""
    if isinstance(value, dict):
        return {key: floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floats(item) for item in value]
    return float(value) if type(value) is int else value


DATA = floats(TABLE["data"]) | {
    "Recs": [
        Rec(Role="user", Content="hi", Calls=[]),
        Rec(Role="assistant", Content="yo", Calls=["f", "g"]),
    ]
}


def run(source: str) -> str:
    return Program(source, parse(source, FUNCTIONS)).execute(DATA)


def outcome(source: str) -> tuple[str, str]:
    """("ok", text), ("parse", message) or ("exec", message)."""
    try:
        program = Program(source, parse(source, FUNCTIONS))
    except BadRequest as refusal:
        return "parse", str(refusal)
    try:
        return "ok", program.execute(DATA)
    except PunaError as failure:
        return "exec", str(failure)


@pytest.mark.parametrize(("source", "kind", "expected"), TABLE["rows"])
def test_answers_as_go_does(source: str, kind: str, expected: str) -> None:
    got, text = outcome(source)
    # Go's parser names the line only.
    text = re.sub(r"^(template: :\d+):\d+", r"\1", text) if got == "parse" else text
    assert (got, text) == (kind, expected)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("{{ foo }}", "1:3"),
        ("a\né {{ foo }}", "2:6"),
        ("{{ .A | foo }}", "1:8"),
        ("{{ if .A }}\n{{ else }}x{{ else }}y{{ end }}", "2:14"),
        ("{{ .A", "1:5"),
        ('x {{ "a', "1:5"),
        ("{{ break }}", "1:3"),
    ],
)
def test_a_syntax_error_says_line_and_column_in_bytes(source: str, place: str) -> None:
    with pytest.raises(BadRequest, match=f"^template: :{place}: "):
        parse(source, FUNCTIONS)


@settings(deadline=None)
@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_itself(text: str) -> None:
    assert run(text) == text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


PIECES = [
    "{{", "}}", "{{-", "-}}", " ", "\n", ".", "$", "$x", ":=", "=", "|", "(", ")", ",", "if", "else", "end",
    "range", "with", "define", "template", "block", "break", "continue", "nil", "true", "print", "printf",
    "index", "slice", "len", "eq", "and", '"a"', "`b`", "'c'", "1", "-2", "1.5", "0x", ".List", ".Map",
    ".Str",
    ".Nested.X", "/*", "*/", "text", '"%d"', '"%5.2f"', '"%[9]*d"', "世",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text("{}-. $x|()\"'`1a/*\n"))
def test_any_source_runs_or_is_refused(source: str) -> None:
    kind, text = outcome(source)
    if kind == "parse":
        assert re.match(r"template: :\d+:\d+: ", text)
    else:
        assert kind == "ok" or text.startswith("template: ")
        text.encode()


printf = FUNCTIONS["printf"].run


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_form_of_a_float_says_the_same_number(number: float) -> None:
    mantissa, _, exponent = printf("%b", number).partition("p")
    assert float(Fraction(int(mantissa)) * Fraction(2) ** int(exponent)) == number
    assert float.fromhex(printf("%x", number)) == float.fromhex(printf("%X", number)) == number
    assert (
        float(printf("%v", number))
        == float(printf("%#g", number))
        == float(printf("%.17e", number))
        == number
    )


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_a_quoted_text_is_read_as_the_text(text: str, ascii_only: bool) -> None:
    quoted = printf("%+q" if ascii_only else "%q", text)
    assert quoted.isascii() or not ascii_only
    assert run("{{ " + quoted + " }}") == text


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 70), st.sampled_from(["", "-", "0", "+", " "]))
def test_every_form_of_an_integer_says_the_same_number(number: int, width: int, flag: str) -> None:
    for verb, base in (("d", 10), ("x", 16), ("o", 8), ("b", 2)):
        text = printf(f"%{flag}{width}{verb}", number)
        assert int(text, base) == number
        assert len(text) >= width


values = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3) | st.complex_numbers()
)


@given(
    st.lists(st.sampled_from(["%", "[1]", "[9]", "[", "]", "*", ".", "3", "-", "#", "+", *"vdsqxtTwz"])),
    st.lists(st.recursive(values, lambda inner: st.lists(inner, max_size=2), max_leaves=3), max_size=3),
)
def test_any_pattern_takes_any_values(pieces: list[str], given: list[Any]) -> None:
    pattern = "".join(pieces)
    if len(max(re.findall("[0-9]*", pattern), key=len)) < 4:
        assert ("%" in pattern) or printf(pattern, *given).startswith(pattern)
        assert isinstance(printf(pattern, *given), str)


ACTIONS = [
    "{{ . }}", "{{ $ }}", "{{ .Str }}", "{{ len .List }}", '{{ printf "%q %v %5.1f" .Str .Mixed .Float }}',
    "x",
    "{{ $v }}", "{{ $v = print $v . }}", "{{ index .List 1 }}", "{{ json . }}", "{{ break }}",
    "{{ continue }}",
    "{{ slice .Uni 0 2 }}", '{{ template "t" . }}', "{{ js .Html }}{{ html .Html }}{{ urlquery .Uni }}",
]  # fmt: skip
HEADS = ["if .Str", "range .List", "range 99", "with .Map", "range $i, $v := $.Map"]


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, max_size=3).map("".join)
    parts = st.tuples(st.sampled_from(HEADS), body, body)
    return parts.map("{{{{ {0[0]} }}}}{0[1]}{{{{ else }}}}{0[2]}{{{{ end }}}}".format)


@settings(deadline=None)
@given(st.recursive(st.sampled_from(ACTIONS), nested, max_leaves=8))
def test_every_program_ends(body: str) -> None:
    kind, text = outcome('{{ $v := "a" }}' + body + '{{ define "t" }}{{ template "t" . }}{{ end }}')
    assert kind != "parse" or "outside {{range}}" in text
    assert kind != "exec" or text.startswith("template: ")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ range 1000000000 }}{{ range 1000000000 }}{{ end }}{{ end }}", "too many steps"),
        ('{{ $x := "aaaaaaaa" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}', "too many steps"),
        ('{{ range 99999 }}{{ printf "%999999d" 1 }}{{ end }}', "longer than 4194304"),
        ('{{ printf "%9999999d" 1 }}', "too large"),
        ('{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}', "maximum template depth"),
        (
            '{{ define "a" }}{{ range . }}{{ template "a" $ }}{{ end }}{{ end }}{{ template "a" .List }}',
            "maximum template depth",
        ),
    ],
)
def test_a_template_without_end_is_stopped(source: str, reason: str) -> None:
    with pytest.raises(PunaError, match=reason):
        run(source)


@pytest.mark.parametrize("source", ["{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "{{ if 1 }}" * 5000])
def test_a_source_nested_without_end_is_refused(source: str) -> None:
    with pytest.raises(BadRequest, match="max expression depth exceeded"):
        parse(source, FUNCTIONS)


def test_nesting_that_people_write_is_fine() -> None:
    assert run("{{" + "(" * 60 + "1" + ")" * 60 + "}}") == "1"
    assert run("{{ if .Empty }}" + "{{ else if .Empty }}" * 60 + "{{ else }}last{{ end }}") == "last"


def test_half_a_character_is_never_given_out() -> None:
    assert run("{{ slice .Uni 0 2 }}") == "h\ufffd"
    assert run("{{ slice .Uni 0 2 }}{{ slice .Uni 2 3 }}") == "hé"
