"""Splits template source into tokens; trims white space at `{{-` and `-}}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

TokenKind = Literal[
    "text", "open", "close", "space", "word", "name", "field", "variable", "number", "char",
    "string", "bool", "dot", "nil", "(", ")", "|", "=", ":=", "other", "error", "eof",
]  # fmt: skip

KEYWORDS = frozenset(
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"]
)
_BLANK = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]+")
_TRIM_CLOSE = re.compile(r"[ \t\r\n]-}}")
_NAME = re.compile(r"\w*")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_RAW = re.compile(r"`[^`]*`")
_CHAR = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_MARKS: dict[str, TokenKind] = {"(": "(", ")": ")", "|": "|", "=": "="}
_ENDS_NAME = frozenset(" \t\r\n.,|:()")


class Token(NamedTuple):
    """A lexical element; `text` is its source, or the message when `kind` is "error"."""

    kind: TokenKind
    text: str
    at: int

    def __str__(self) -> str:
        """The token as Go's error messages show it."""
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind == "close":
            return quote("}}")
        if self.kind in ("word", "dot", "nil"):
            return f"<{self.text}>"
        return quote(self.text[:10]) + ("..." if len(self.text) > 10 else "")


def quote(text: str) -> str:
    """`text` in double quotes, escaped as Go's %q does."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    escapes |= {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
    return '"' + "".join(escapes.get(c) or _printable(c) for c in text) + '"'


def _printable(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if 0xDC80 <= code <= 0xDCFF:  # a lone byte, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def tokens(source: str) -> Iterator[Token]:
    """The tokens of `source`; the last is "eof" or "error"."""
    at, skip_blank = 0, False
    while True:
        start = at
        if skip_blank:
            start = len(source) - len(source[at:].lstrip(_BLANK))
        opening = source.find("{{", start)
        text = source[start:] if opening < 0 else source[start:opening]
        at = opening + 2
        trims = opening >= 0 and source.startswith("-", at) and source[at + 1 : at + 2] in (*_BLANK,)
        if trims:
            text, at = text.rstrip(_BLANK), at + 2
        if text:
            yield Token("text", text, start)
        if opening < 0:
            yield Token("eof", "", len(source))
            return
        if source.startswith("/*", at):
            close = source.find("*/", at + 2)
            if close < 0:
                yield Token("error", "unclosed comment", at)
                return
            at = close + 2
            skip_blank = bool(_TRIM_CLOSE.match(source, at))
            if not skip_blank and not source.startswith("}}", at):
                yield Token("error", "comment ends before closing delimiter", at)
                return
            at += 4 if skip_blank else 2
            continue
        yield Token("open", "{{", opening)
        for token in _action(source, at):
            yield token
            if token.kind == "error":
                return
            at, skip_blank = token.at + len(token.text), len(token.text) == 4


def _action(source: str, at: int) -> Iterator[Token]:
    """The tokens after `{{`, up to the `}}` that ends the action."""
    depth = 0
    while True:
        trimmed = _TRIM_CLOSE.match(source, at)
        if trimmed or source.startswith("}}", at):
            if depth:
                yield Token("error", "unclosed left paren", at)
            else:
                yield Token("close", trimmed[0] if trimmed else "}}", at)
            return
        token = _element(source, at)
        depth += {"(": 1, ")": -1}.get(token.kind, 0)
        if depth < 0:
            token = Token("error", "unexpected right paren", at)
        yield token
        if token.kind == "error":
            return
        at += len(token.text)


def _element(source: str, at: int) -> Token:
    character = source[at : at + 1]
    if not character:
        return Token("error", "unclosed action", at)
    if space := _SPACE.match(source, at):
        # The blank of a closing " -}}" belongs to the delimiter.
        end = space.end() - (source.startswith("-}}", space.end()) and space.end() - at > 1)
        return Token("space", source[at:end], at)
    if character in _MARKS:
        return Token(_MARKS[character], character, at)
    if character == ":":
        return Token(":=", ":=", at) if source.startswith(":=", at) else Token("error", "expected :=", at)
    if character in "\"`'":
        return _quoted(source, at, character)
    following = source[at + 1 : at + 2]
    if character == "$" or (character == "." and not (following.isascii() and following.isdigit())):
        return _name(source, at, "variable" if character == "$" else "field")
    if character in "+-.0123456789":
        return _numeral(source, at)
    if character == "_" or character.isalnum():
        return _name(source, at, "name")
    if character.isascii() and character.isprintable():
        return Token("other", character, at)
    return Token("error", f"unrecognized character in action: U+{ord(character):04X}", at)


def _quoted(source: str, at: int, mark: str) -> Token:
    pattern = {'"': _STRING, "`": _RAW, "'": _CHAR}[mark]
    if found := pattern.match(source, at):
        return Token("char" if mark == "'" else "string", found[0], at)
    what = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}[mark]
    return Token("error", f"unterminated {what}", at)


def _numeral(source: str, at: int) -> Token:
    """A number; a second number with a sign is the imaginary part of a complex one."""
    end = _number_end(source, at)
    if source[end : end + 1] in ("+", "-"):
        end = _number_end(source, end)
        whole = source[end - 1] == "i"
    else:
        whole = True
    following = source[end : end + 1]
    if following == "_" or following.isalnum():
        return Token("error", f"bad number syntax: {quote(source[at : end + 1])}", at)
    if not whole:
        return Token("error", f"bad number syntax: {quote(source[at:end])}", at)
    return Token("number", source[at:end], at)


def _number_end(source: str, at: int) -> int:
    found = _NUMBER.match(source, at)
    return found.end() if found else at


def _name(source: str, at: int, kind: Literal["name", "field", "variable"]) -> Token:
    found = _NAME.match(source, at + (kind != "name"))
    end = found.end() if found else at
    text, following = source[at:end], source[end : end + 1]
    if following and following not in _ENDS_NAME and not source.startswith("}}", end) and text != ".":
        return Token("error", f"bad character U+{ord(following):04X} '{following}'", at)
    if text == ".":
        return Token("dot", text, at)
    if text in ("true", "false"):
        return Token("bool", text, at)
    if text == "nil":
        return Token("nil", text, at)
    return Token("word" if text in KEYWORDS else kind, text, at)
