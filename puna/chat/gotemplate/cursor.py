"""A position in a template's tokens, and errors that name it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from puna.errors import BadRequest

from .lexer import Token, tokens

_DEEPEST = 100


def location(source: str, at: int) -> str:
    """`line:column` of an index, the column in bytes from 0, as Go counts."""
    line_start = source.rfind("\n", 0, at) + 1
    column = len(source[line_start:at].encode("utf-8", "surrogatepass"))
    return f"{source.count(chr(10), 0, at) + 1}:{column}"


class Cursor:
    """Walks the tokens of `source`; tracks the variables in scope and the nesting depth."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        self.source = source
        self.functions = functions
        self.tokens = list(tokens(source))
        self.next_index = 0
        self.variables = ["$"]
        self.depth = 0
        self.action_start = 0

    def take(self) -> Token:
        token = self.tokens[min(self.next_index, len(self.tokens) - 1)]
        self.next_index += 1
        return token

    def peek(self) -> Token:
        return self.tokens[min(self.next_index, len(self.tokens) - 1)]

    def take_solid(self) -> Token:
        self.skip_space()
        return self.take()

    def skip_space(self) -> None:
        while self.peek().kind == "space":
            self.next_index += 1

    def end(self) -> int:
        """The index in the source after the last token taken."""
        last = self.tokens[min(self.next_index, len(self.tokens)) - 1]
        return last.at + len(last.text)

    def fail(self, message: str, at: int) -> NoReturn:
        raise BadRequest(f"template: :{location(self.source, at)}: {message}")

    def unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind != "error":
            self.fail(f"unexpected {token} in {context}", token.at)
        start = location(self.source, self.action_start).split(":")[0]
        extra = ""
        if start != location(self.source, token.at).split(":")[0]:
            extra = f" in action started at :{start}".removeprefix(
                " in action" if token.text.endswith(" action") else ""
            )
        self.fail(token.text + extra, token.at)

    def deeper(self, at: int) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail("max expression depth exceeded", at)
