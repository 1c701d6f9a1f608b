"""Parses ECMA 262 regular expressions, the dialect of JSON Schema's `pattern`, to a tree.

Sources: ECMA-262 §22.2.1 (Patterns) and Annex B §B.1.2, the leniency outside Unicode mode.
`\\u{…}` and `\\p{…}` have their Unicode-mode meaning, as in validators.
"""

from __future__ import annotations

import re

from .tree import (
    DIGIT,
    LAST,
    LINE_END,
    SPACE,
    WORD,
    Anchor,
    Chars,
    Disjunction,
    InvalidPattern,
    Look,
    Near,
    Range,
    Repeat,
    Side,
    Term,
    Unsupported,
    complement,
    merge_ranges,
)

_CONTROLS = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
_PROPERTY = re.compile(r"\{(?:(?:General_Category|gc|Script|sc|Script_Extensions|scx)=)?[A-Za-z_0-9]+\}")
_QUANTIFIER = re.compile(r"\{(\d+)(,?)(\d*)\}")
# Python's named groups are common in schemas that Python programs write.
_NAME = re.compile(r"\?P?<(?!\d)[\w$]+>")
# A capturing group, or text that looks like one after a backslash or in a class.
_GROUP = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|(\((?!\?)|\(\?P?<(?![=!]))", re.DOTALL)


def parse(pattern: str) -> Disjunction:
    """Raises InvalidPattern, Unsupported."""
    return _PatternParser(pattern).whole()


class _PatternParser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        groups = [found for found in _GROUP.findall(text) if found]
        self._groups = len(groups)
        self._named = any("<" in group for group in groups)

    def whole(self) -> Disjunction:
        found = self._alternatives()
        if self._at < len(self._text):
            raise InvalidPattern('unmatched ")"')
        return found

    def _alternatives(self) -> Disjunction:
        options = [self._sequence()]
        while self._takes("|"):
            options.append(self._sequence())
        return Disjunction(tuple(options))

    def _sequence(self) -> tuple[Term, ...]:
        items: list[Term] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            items.append(self._quantified(self._atom()))
        return tuple(items)

    def _quantified(self, item: Term) -> Term:
        least, most = 1, 1
        if self._takes("*"):
            least, most = 0, None
        elif self._takes("+"):
            least, most = 1, None
        elif self._takes("?"):
            least, most = 0, 1
        elif found := _QUANTIFIER.match(self._text, self._at):
            self._at = found.end()
            least = int(found[1])
            most = int(found[3]) if found[3] else None if found[2] else least
            if most is not None and most < least:
                raise InvalidPattern(f"the quantifier {found[0]} is out of order")
        else:
            return item
        self._takes("?")  # Lazy or not, it matches the same texts.
        if isinstance(item, (Anchor, Look, Near)):
            raise Unsupported("a quantified assertion")
        return Repeat(item, least, most)

    def _atom(self) -> Term:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char in "^$":
            return Anchor(char)  # pyright: ignore[reportArgumentType]
        if char == ".":
            return Chars(LINE_END, negated=True)
        if char == "\\":
            return self._escape()
        if char in "*+?" or (char == "{" and _QUANTIFIER.match(self._text, self._at - 1)):
            raise InvalidPattern(f'nothing to repeat before "{char}"')
        return _one(ord(char))

    def _group(self) -> Term:
        if self._takes("?:") or self._takes_name():
            return self._closed()
        for mark in ("?=", "?!", "?<=", "?<!"):
            if self._takes(mark):
                begin = self._at
                body = self._closed()
                return Look(body, mark[-1] == "!", self._text[begin : self._at - 1], behind="<" in mark)
        if self._text.startswith("?", self._at):
            if re.match(r"\?[ims]*(-[ims]*)?[:)]", self._text[self._at :]):
                raise Unsupported("flags")
            raise InvalidPattern("an unknown kind of group")
        return self._closed()

    def _takes_name(self) -> bool:
        found = _NAME.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found is not None

    def _closed(self) -> Disjunction:
        body = self._alternatives()
        if not self._takes(")"):
            raise InvalidPattern('missing ")"')
        return body

    # Escapes

    def _escape(self) -> Term:
        if self._takes("b"):
            return Near(((_IN_WORD, _OUTSIDE), (_OUTSIDE, _IN_WORD)))
        if self._takes("B"):
            return Near(((_IN_WORD, _IN_WORD), (_OUTSIDE, _OUTSIDE)))
        char = self._peek()
        if char == "k" and self._named:
            raise Unsupported("a reference back")
        if char.isdigit() and char != "0":
            number = re.compile(r"\d+").match(self._text, self._at)
            if number and int(number[0]) <= self._groups:
                raise Unsupported("a reference back")
        return self._escaped()

    def _escaped(self, *, in_class: bool = False) -> Chars:
        """The item after a backslash."""
        if self._at == len(self._text):
            raise InvalidPattern("a backslash at the end")
        char = self._next()
        if char.lower() in _CLASSES:
            return Chars(_CLASSES[char.lower()], negated=char.isupper())
        if char in "pP" and (found := _PROPERTY.match(self._text, self._at)):
            self._at = found.end()
            return Chars(properties=(f"\\{char}{found[0]}",))
        if char in _CONTROLS:
            return _one(_CONTROLS[char])
        if char == "c":
            return self._control(in_class=in_class)
        if char == "x":
            return _one(self._hexadecimal(2, ord("x")))
        if char == "u":
            return _one(self._unicode())
        if char in "01234567":
            return _one(self._octal(char))
        return _one(ord(char))

    def _control(self, *, in_class: bool) -> Chars:
        letter = self._peek()
        if letter.isascii() and (letter.isalpha() or (in_class and (letter.isdigit() or letter == "_"))):
            self._at += 1
            return _one(ord(letter) % 32)
        self._at -= 1
        return _one(ord("\\"))

    def _octal(self, first: str) -> int:
        found = re.compile("[0-3][0-7]{0,2}|[4-7][0-7]?").match(self._text, self._at - 1)
        text = found[0] if found else first
        self._at += len(text) - 1
        return int(text, 8)

    def _hexadecimal(self, digits: int, otherwise: int) -> int:
        text = self._text[self._at : self._at + digits]
        if not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", text):
            return otherwise
        self._at += digits
        return int(text, 16)

    def _unicode(self) -> int:
        if braced := re.compile(r"\{([0-9a-fA-F]+)\}").match(self._text, self._at):
            if int(braced[1], 16) > LAST:
                raise InvalidPattern(f"\\u{braced[0]} is no character")
            self._at = braced.end()
            return int(braced[1], 16)
        unit = self._hexadecimal(4, ord("u"))
        low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self._text, self._at)
        if 0xD800 <= unit < 0xDC00 and low:
            self._at = low.end()
            return 0x10000 + ((unit - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        return unit

    # Classes

    def _class(self) -> Chars:
        negated = self._takes("^")
        ranges: list[Range] = []
        properties: list[str] = []

        def add(chars: Chars) -> None:
            ranges.extend(complement(chars.ranges) if chars.negated else chars.ranges)
            properties.extend(chars.properties)

        while not self._takes("]"):
            first = self._member()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                last = self._member()
                low, high = _point(first), _point(last)
                if low is None or high is None:  # Annex B: the hyphen is literal
                    add(_one(ord("-")))
                    add(first)
                    add(last)
                elif low > high:
                    raise InvalidPattern("a range of characters is out of order")
                else:
                    ranges.append((low, high))
            else:
                add(first)
        return Chars(merge_ranges(ranges), tuple(properties), negated)

    def _member(self) -> Chars:
        if self._at == len(self._text):
            raise InvalidPattern('missing "]"')
        char = self._next()
        if char != "\\":
            return _one(ord(char))
        if self._takes("b"):
            return _one(0x08)
        return self._escaped(in_class=True)

    # Reading

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _takes(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        if found:
            self._at += len(text)
        return found


def _one(point: int) -> Chars:
    return Chars(((point, point),))


def _point(chars: Chars) -> int | None:
    """The only character of a set of one."""
    if chars.negated or chars.properties or len(chars.ranges) != 1:
        return None
    first, last = chars.ranges[0]
    return first if first == last else None


_IN_WORD, _OUTSIDE = Side(WORD, edge=False), Side(complement(WORD), edge=True)
