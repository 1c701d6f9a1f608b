"""Turns string patterns into regular expressions that a grammar supports.

A pattern is in ECMA's dialect and matches anywhere in a text. A grammar needs an expression of the whole
text, without lookarounds and backreferences. The output means the same to Rust, Python and ECMA.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from .around import expand, unconditional
from .ecma import parse
from .known import as_meant
from .tree import (
    LAST,
    Anchor,
    Chars,
    Disjunction,
    InvalidPattern,
    Look,
    Range,
    Repeat,
    Term,
    Unsupported,
    merge_ranges,
)


class _Never(Unsupported):
    """No text matches it, and no expression says that."""


_ANYTHING = r"[\d\D]*"
_SYNTAX = set("\\^$.|?*+()[]{}")
_SYNTAX_IN_CLASS = set("\\]^[-&~")
_SPELLED = {0x09: r"\t", 0x0A: r"\n", 0x0C: r"\f", 0x0D: r"\r"}
_SURROGATES = (0xD800, 0xDFFF)
_LONGEST = 64
"""Most characters of a forbidden beginning."""

# The properties of ECMA 262, tables 67 and 68, and scripts, which the grammar library also knows.
_CATEGORY = re.compile(
    "L[ultmoC]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfno]?|Letter|Mark|Number|Punctuation|Symbol"
    "|Separator|Other|(Upper|Lower|Title)case_Letter|(Cased|Modifier|Other)_Letter"
    "|(Nonspacing|Spacing|Enclosing)_Mark|(Decimal|Letter|Other)_Number"
    "|(Connector|Dash|Open|Close|Initial|Final|Other)_Punctuation|(Math|Currency|Modifier|Other)_Symbol"
    "|(Space|Line|Paragraph)_Separator|Control|Format|Unassigned|Private_Use"
)
_BINARY = re.compile(
    "Any|ASCII|Assigned|Alphabetic|ASCII_Hex_Digit|Hex_Digit|Cased|Case_Ignorable|Dash|Diacritic|Emoji"
    "|Emoji_(Component|Modifier|Modifier_Base|Presentation)|Extended_Pictographic|X?ID_(Start|Continue)"
    "|Ideographic|Unified_Ideograph|Lowercase|Uppercase|Math|Quotation_Mark|Regional_Indicator"
    "|Sentence_Terminal|Terminal_Punctuation|Variation_Selector|White_Space"
)
_SCRIPT = re.compile(
    "(?:Script|sc|Script_Extensions|scx)=(?:Arabic|Armenian|Bengali|Bopomofo|Braille|Cherokee|Common|Coptic"
    "|Cyrillic|Devanagari|Ethiopic|Georgian|Gothic|Greek|Gujarati|Gurmukhi|Han|Hangul|Hebrew|Hiragana"
    "|Inherited|Javanese|Kannada|Katakana|Khmer|Lao|Latin|Malayalam|Mongolian|Myanmar|Oriya|Runic|Sinhala"
    "|Syriac|Tamil|Telugu|Thaana|Thai|Tibetan|Tifinagh|Yi|Arab|Cyrl|Deva|Grek|Hang|Hani|Hebr|Hira|Kana|Latn"
    "|Zinh|Zyyy)"
)

_ONLY = re.compile(r"\^?\[([^\]\\^]|\\.)((?:[^\]\\]|\\.)*)\]([*+])\$")
_ONE = r"(?:\\[^\w\s]|[\w ,;:@/_-])"
_TWICE = re.compile(rf"\.\*({_ONE})\1")


@lru_cache(maxsize=1024)
def whole(pattern: str) -> tuple[str, ...]:
    """Regular expressions that must all match a whole text, so that it contains `pattern`.

    Lookaheads at the beginning become separate expressions. Raises InvalidPattern for an invalid pattern,
    Unsupported for one that needs assertions.
    """
    tree = parse(as_meant(pattern))
    try:
        return (_expression(tree),)
    except Unsupported:
        items, *others = tree.options
        rest = list(items[1:] if items and items[0] == Anchor("^") else items)
        if others or not rest or not isinstance(rest[0], Look):
            raise
    conditions: list[str] = []
    while rest and isinstance(look := rest[0], Look) and not look.behind:
        conditions += _without(look) if look.negative else whole(f"^(?:{look.source})")
        rest.pop(0)
    # A lookahead elsewhere may also apply at the beginning.
    return (*conditions, _expression(Disjunction(((Anchor("^"), *rest),)))) if rest else tuple(conditions)


def anchored_patterns(pattern: str) -> list[str]:
    """`whole` as patterns that JSON Schema can search for. Raises InvalidPattern, Unsupported."""
    return [f"^(?:{one})$" for one in whole(pattern)]


def sayable(pattern: str) -> bool:
    """Whether a grammar supports `pattern`."""
    try:
        whole(pattern)
    except (InvalidPattern, Unsupported, RecursionError):
        return False
    return True


def is_found(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`. Raises InvalidPattern, Unsupported."""
    expressions = whole(pattern)
    if any(r"\p{" in one or r"\P{" in one for one in expressions):
        raise Unsupported("a Unicode property of names")
    return all(re.fullmatch(one, text) for one in expressions)


# From the tree to the text


def _expression(tree: Disjunction) -> str:
    """The expression of all texts that contain `tree`."""
    options = unconditional(tree.options)
    return _either(_option, [items for option in options for items in expand(option, (Anchor,), ends=True)])


def _option(items: tuple[Term, ...]) -> str:
    begins, ends = 0, len(items)
    while begins < ends and items[begins] == Anchor("^"):
        begins += 1
    while begins < ends and items[ends - 1] == Anchor("$"):
        ends -= 1
    before = "" if begins else _ANYTHING
    after = "" if ends < len(items) else _ANYTHING
    inner = items[begins:ends]
    if not (before or after) and len(inner) == 1 and isinstance(inner[0], Disjunction):
        return _either(_sequence, inner[0].options)
    return before + _sequence(inner) + after


def _either(written: Callable[[tuple[Term, ...]], str], options: Iterable[tuple[Term, ...]]) -> str:
    """The options that some text matches."""
    found: list[str] = []
    for option in options:
        with suppress(_Never):
            found.append(written(option))
    if not found:
        raise _Never("a class of no character")
    return "|".join(dict.fromkeys(found))


def _sequence(items: tuple[Term, ...]) -> str:
    return "".join(map(_item, items))


def _item(item: Term) -> str:
    if isinstance(item, Chars):
        return _chars(item)
    if isinstance(item, Disjunction):
        return f"(?:{_either(_sequence, item.options)})"
    if isinstance(item, Repeat):
        body = _item(item.body)
        if isinstance(item.body, Repeat):
            body = f"(?:{body})"
        return body + _quantifier(item.least, item.most)
    raise Unsupported("an assertion within the pattern")


def _quantifier(least: int, most: int | None) -> str:
    named = {(0, None): "*", (1, None): "+", (0, 1): "?", (1, 1): ""}
    if (least, most) in named:
        return named[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _chars(chars: Chars) -> str:
    for one in chars.properties:
        name = one[3:-1]
        category = name.removeprefix("General_Category=").removeprefix("gc=")
        known = _CATEGORY.fullmatch(category) or _BINARY.fullmatch(name) or _SCRIPT.fullmatch(name)
        if not known:
            raise Unsupported(f"the Unicode property {name}")
    ranges = _without_surrogates(chars.ranges)
    if not ranges and not chars.properties:
        if not chars.negated:
            raise _Never("a class of no character")
        return _ANYTHING[:-1]
    if ranges == ((0, _SURROGATES[0] - 1), (_SURROGATES[1] + 1, LAST)):
        if chars.negated:
            raise _Never("a class of no character")
        return _ANYTHING[:-1]
    if not chars.negated and not chars.properties and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _spell(ranges[0][0], _SYNTAX)
    written = "".join(_range(one) for one in ranges) + "".join(chars.properties)
    return f"[{'^' if chars.negated else ''}{written}]"


def _without_surrogates(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges without surrogates, which UTF-8 cannot encode."""
    first, last = _SURROGATES
    found: list[Range] = []
    for low, high in merge_ranges(ranges):
        if high < first or low > last:
            found.append((low, high))
            continue
        found += [one for one in ((low, first - 1), (last + 1, high)) if one[0] <= one[1]]
    return tuple(found)


def _range(one: Range) -> str:
    first, last = (_spell(point, _SYNTAX_IN_CLASS) for point in one)
    return first if one[0] == one[1] else f"{first}-{last}"


def _spell(point: int, syntax: set[str]) -> str:
    if point in _SPELLED:
        return _SPELLED[point]
    if point < 0x20 or 0x7F <= point < 0xA0:
        return f"\\x{point:02x}"
    return f"\\{chr(point)}" if chr(point) in syntax else chr(point)


# What looks ahead


def _without(look: Look) -> tuple[str, ...]:
    """Expressions that must all match a text that does not begin with `look`'s body. Raises Unsupported."""
    if only := _ONLY.fullmatch(look.source):
        return whole(f"[^{only[1]}{only[2]}]{'|^$' if only[3] == '+' else ''}")
    if twice := _TWICE.fullmatch(look.source):
        one = twice[1]
        return whole(rf"^{one}?(?:[^{_within(one)}]+{one}?)*$")
    return tuple(map(_not_begun, look.body.options))


def _not_begun(items: tuple[Term, ...]) -> str:
    """The expression of all texts that do not begin with (or do not equal) these characters."""
    whole_text = items[-1:] == (Anchor("$"),)
    chars = [one for item in items[: len(items) - whole_text] for one in _one_by_one(item)]
    if not 0 < len(chars) <= _LONGEST:
        raise Unsupported("a negative lookahead")
    rest = f"{_ANYTHING[:-1]}+" if whole_text else None
    for one in reversed(chars):
        alternatives = [] if rest is None else [_chars(one) + rest]
        with suppress(_Never):
            alternatives.append(_chars(replace(one, negated=not one.negated)) + _ANYTHING)
        rest = f"(?:{'|'.join(alternatives)})?" if alternatives else ""
    return rest or ""


def _one_by_one(item: Term) -> list[Chars]:
    if isinstance(item, Chars):
        return [item]
    if isinstance(item, Repeat) and item.least == item.most:
        return _one_by_one(item.body) * item.least
    raise Unsupported("a negative lookahead")


def _within(one: str) -> str:
    return one if one.startswith("\\") or one != "-" else r"\-"
