"""JSON Schema's patterns mean what they mean to a real ECMA engine."""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from puna.chat.patterns import InvalidPattern, Unsupported, anchored_patterns, is_found, sayable, whole
from puna.errors import BadRequest

from .asked import grammar, held
from .offered import tool
from .walking import admitted

ALPHABET = "ab-z&[]{},.^$|09_ \n\r\t\u2028é\u00a0\\/~"
ASSERTIONS = (r"\b", r"\B", "(?<=a)", "(?<![a-z])", "(?!b)", r"(?=\d)", r"(?<!\W)", "(?!a|b)")
ENGINE = """
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const found = (pattern, flags, text) => {
    try { return new RegExp(pattern, flags).test(text) } catch { return null }
};
console.log(JSON.stringify(cases.map(([pattern, texts]) => texts.map(text => {
    const unicode = found(pattern, "u", text);
    return unicode === null ? found(pattern, "", text) : unicode;
}))));
"""
"""A pattern is read in Unicode mode, as validators read it, or else without."""

WRITTEN = {
    r"^[^[\]]*$": (["", "ab", "{"], ["[", "a]b"]),
    r"^\${[a-z]+}$": (["${ab}"], ["$", "{ab}", "${}"]),
    r"^{{.*}}$": (["{{}}", "{{a}}"], ["{}", "{{\n}}"]),
    r"^a{,3}$": (["a{,3}"], ["a", "aaa", ""]),
    r"^\0$": (["\0"], ["0", ""]),
    r"[a-z&&[^b]]": (["b]", "&]"], ["c", "]"]),
    r"^[!&&#]$": (["!", "&", "#"], ["a"]),
    r"^[a-z0-9--.]$": (["a", "5", "-", "."], ["/", "!"]),
    r"^\d$": (["5"], ["٣", "a"]),
    r"^\w+$": (["a_9"], ["é"]),
    r"^\s$": ([" ", "\n", "\u00a0", "\ufeff", "\u2028"], ["\x1c", "\x85", "a"]),
    r"^.$": (["a", "\x85", "😀"], ["\n", "\r", "\u2028"]),
    r"^a|b$": (["ax", "xb"], ["xa", "bx"]),
    r"^(a|b$)": (["ax", "b"], ["bx", "xa"]),
    r"(^a|b$)": (["ax", "xb"], ["xa", "bx"]),
    r"^\x41\u0042\u{43}\cJ$": (["ABC\n"], ["ABCJ"]),
    "^\\ud83d\\ude00$": (["😀"], ["\ufffd"]),
    r"^[\b]$": (["\b"], ["b"]),
    r"^\p{L}\P{L}$": (["é1"], ["11", "ab"]),
    r"^[^\p{Lu}]$": (["a"], ["A"]),
    r"^\p{ASCII}\p{Script=Lao}$": (["aລ"], ["éລ", "aa"]),
    r"^\p{ID_Start}[\p{ID_Continue}$]*\p{Emoji_Presentation}$": (["é1$⌚"], ["1⌚", "é1"]),
    r"^\p{scx=Greek}\P{Any}?$": (["α"], ["a"]),
    r"^[]|[^]$": (["a", "\n"], []),
    r"^[\c1\c_\cJ]\k{1}$": (["\x11k", "\x1fk", "\nk"], ["ck", "1k"]),
    r"^[(]\1\(\2$": (["(\x01(\x02"], ["(1(2"]),
    r"^(?<ñ_1>a)(?<$>b)$": (["ab"], ["a"]),
    r"^(?<year>\d{4})-(?P<month>\d\d)$": (["2025-06"], ["25-06"]),
    r"^a{2}b{1,}c{0,1}d??$": (["aab", "aabbcd"], ["ab"]),
    r"^]}$": (["]}"], ["]"]),
    r"^\a\-\/$": (["a-/"], ["\a-/"]),
    r"\Aab\Z": (["ab"], ["ab\n", "xab"]),
    r"^(?=.*\d)(?=.*[a-z])[a-z\d]{3,}$": (["a1b", "12a"], ["abc", "123", "a1"]),
    r"(?=.*\d).{2,}": (["a1"], ["ab", "1"]),
    r"^(?!000|666|9\d{2})\d{3}$": (["123", "066", "899"], ["000", "666", "900", "12"]),
    r"^(?!admin$)(?!.$)[a-z]*$": (["admins", "user", "ad"], ["admin", "a"]),
    r"\bword\b": (["word", "a word.", "word-s"], ["words", "sword", "_word"]),
    r"^\b[a-z-]+\b$": (["a", "a-b", "ab"], ["-a", "a-", "-", ""]),
    r"(^|\b)ab|cd\B": (["ab", " ab", "-abc", "cde"], ["cab", "cd"]),
    r"(?<=\$)\d+(?!\d|\.)": (["$5", "a$12 "], ["5", "$a"]),
    r"^a(?!b)[a-c]*(?<!c)$": (["a", "aa", "aca", "acb"], ["ab", "ac", "aac"]),
    r"(?<![a-z])end(?=;)": (["end;", "1end;"], ["bend;", "end"]),
    r"^(?!_)[a-z_]+$": (["a_"], ["_a", ""]),
    # Zod 4's durations and emoji.
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$": (
        ["P2W", "P1Y2M3D", "P1M", "PT1H", "P1DT2M3.5S", "PT0,1S"],
        ["P", "PT", "P1D2W", "P1DT", "P1H", "PT1D", "1D"],
    ),
    r"^(?=[\s\S]*[\p{Extended_Pictographic}\p{Regional_Indicator}])[\p{Emoji_Component}\p{Emoji}]+$": (
        ["🇩🇪", "😀"],
        ["a", "1", ""],
    ),
}


@pytest.mark.parametrize("pattern", [one for one in WRITTEN if r"\p" not in one.lower() and "p{" not in one])
def test_patterns_of_every_kind(pattern: str):
    fitting, others = WRITTEN[pattern]
    assert [text for text in fitting if not is_found(pattern, text)] == []
    assert [text for text in others if is_found(pattern, text)] == []


@pytest.mark.parametrize("pattern", WRITTEN)
def test_content_is_held_to_patterns(pattern: str):
    made = held(schema={"type": "string", "pattern": pattern})
    fitting, others = WRITTEN[pattern]
    for text in fitting:
        assert admitted(made, json.dumps(text, ensure_ascii=False)), text
    for text in others:
        assert not admitted(made, json.dumps(text, ensure_ascii=False)), text


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("(", InvalidPattern),
        ("a)", InvalidPattern),
        ("[a", InvalidPattern),
        ("*", InvalidPattern),
        ("a**", InvalidPattern),
        ("a{3,2}", InvalidPattern),
        ("[b-a]", InvalidPattern),
        ("\\", InvalidPattern),
        (r"(a)\1", Unsupported),
        (r"\\(a)\1", Unsupported),
        (r"(?<a>.)\1", Unsupported),
        (r"\2[(](a)(?:c)(?P<b>b)", Unsupported),
        (r"(?<a>.)\k<a>", Unsupported),
        (r"(\bword\s?)+", Unsupported),
        (r"\p{L}\b", Unsupported),
        ("a(?<=ab)c", Unsupported),
        ("(?i)a", Unsupported),
        ("a(?!bc)", Unsupported),
        ("[]", Unsupported),
        (r"\p{Nonsense}", Unsupported),
    ],
)
def test_what_no_grammar_follows(pattern: str, error: type[Exception]):
    assert not sayable(pattern)
    with pytest.raises(error):
        whole(pattern)
    with pytest.raises(BadRequest, match="pattern"):
        grammar(schema={"type": "string", "pattern": pattern})


def test_one_tool_s_pattern_does_not_let_the_others_go():
    word = {"type": "string", "pattern": r"(\bword)+", "maxLength": 4}
    tools = [tool("f", {"word": word, "count": {"type": "integer"}}, "word", "count")]
    for required in (False, True):
        made = held(tools=tools, required=required)
        call = '<tool_call>\n{"name": "f", "arguments": {"word": "%s", "count": %s}}\n</tool_call>'
        assert admitted(made, call % ("any", "3"))
        assert not admitted(made, call % ("any", '"abc"'))
        assert not admitted(made, call % ("longer", "3"))


def test_random_patterns_mean_what_an_engine_says():
    draw = random.Random(7)
    cases: list[tuple[str, list[str]]] = []
    while len(cases) < 1500:
        pattern = _pattern(draw, 3)
        if sayable(pattern):
            cases.append((pattern, [_text(draw) for _ in range(12)]))
    ran = subprocess.run(
        ["node", "-e", ENGINE], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    matched = 0
    for (pattern, texts), answers in zip(cases, json.loads(ran.stdout), strict=True):
        for text, answer in zip(texts, answers, strict=True):
            assert answer is not None, pattern
            assert is_found(pattern, text) == answer, (pattern, text, whole(pattern))
            matched += answer
    assert matched > 1000


def test_what_was_translated_stays_as_it_is():
    draw = random.Random(11)
    for _ in range(500):
        pattern = _pattern(draw, 3)
        if sayable(pattern):
            for one in anchored_patterns(pattern):
                assert anchored_patterns(one) == [one]


def _text(draw: random.Random) -> str:
    return "".join(draw.choice(ALPHABET) for _ in range(draw.randrange(6)))


def _pattern(draw: random.Random, depth: int) -> str:
    return "|".join(_sequence(draw, depth) for _ in range(draw.choice((1, 1, 1, 2))))


def _sequence(draw: random.Random, depth: int) -> str:
    items = [_piece(draw, depth) for _ in range(draw.randrange(1, 4))]
    if draw.random() < 0.3:
        items.insert(draw.randrange(len(items) + 1), draw.choice(ASSERTIONS))
    return draw.choice(("^", "", "")) + "".join(items) + draw.choice(("$", "", ""))


def _piece(draw: random.Random, depth: int) -> str:
    quantifier = draw.choice(("", "", "", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{0,}", "*?"))
    kind = draw.randrange(6 if depth else 5)
    if kind == 0:
        return draw.choice(".]}{,-&a~") + draw.choice(("", "", "+"))
    if kind == 1:
        return (
            draw.choice((r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\.", r"\-", r"\x61", r"\n", r"\\"))
            + quantifier
        )
    if kind in (2, 3):
        members = "".join(
            draw.choice(
                ("a", "b", "a-z", "-", "&&", "[", r"\]", r"\d", r"\w-", "^", ".", "--", "~~", r"\s", "é")
            )
            for _ in range(draw.randrange(1, 4))
        )
        return f"[{draw.choice(('', '^'))}{members}]{quantifier}"
    if kind == 4:
        return draw.choice(("ab", "a", "é", "0", "{{", "}}", "z")) + quantifier
    return f"({draw.choice(('', '?:'))}{_pattern(draw, depth - 1)}){quantifier}"
