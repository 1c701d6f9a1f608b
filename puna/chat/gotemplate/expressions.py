"""Parses tokens to pipelines, commands and operands."""

from __future__ import annotations

from typing import Literal

from . import literals
from .cursor import Cursor
from .lexer import Token, quote
from .nodes import Chain, CommandNode, Constant, Dot, Field, IdentifierNode, Nil, Operand, Pipeline, Variable

_STARTS_OPERAND = frozenset(
    ["bool", "char", "dot", "field", "name", "number", "nil", "string", "variable", "("]
)


class Expressions(Cursor):
    """Parses the inside of an action."""

    def pipeline(self, context: str, end: Literal["close", ")"] = "close") -> Pipeline:
        self.deeper(self.peek().at)
        self.skip_space()
        start = self.peek().at
        variables, assigns = self.declarations(context)
        commands: list[CommandNode] = []
        while (token := self.take_solid()).kind != end:
            if token.kind not in _STARTS_OPERAND:
                self.unexpected(token, context)
            self.next_index -= 1
            commands.append(self.command())
        if not commands:
            self.fail(f"missing value for {context}", token.at)
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], (Constant, Dot, Nil)):
                self.fail(f"non executable command in pipeline stage {stage}", command.at)
        self.depth -= 1
        source = self.source[start : token.at].rstrip()
        return Pipeline(start, source, tuple(commands), variables, assigns)

    def declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables of a pipeline, and whether it sets (`=`) rather than declares (`:=`) them."""
        found: list[str] = []
        while True:
            self.skip_space()
            start = self.next_index
            if self.peek().kind != "variable":
                return tuple(found), False
            name = self.take().text
            mark = self.take_solid()
            if mark.kind in ("=", ":="):
                self.variables.append(name)
                return (*found, name), mark.kind == "="
            if mark.text != ",":
                self.next_index = start
                return tuple(found), False
            found.append(name)
            self.variables.append(name)
            if context != "range" or len(found) > 1:
                self.fail(f"too many declarations in {context}", mark.at)
            self.skip_space()
            if self.peek().kind not in ("variable", "close", ")"):
                self.fail("range can only initialize variables", self.peek().at)

    def command(self) -> CommandNode:
        start = self.peek().at
        operands: list[Operand] = []
        while True:
            self.skip_space()
            operand = self.operand()
            if operand:
                operands.append(operand)
            end = self.end()
            token = self.take()
            if token.kind == "space":
                continue
            if token.kind in ("close", ")"):
                self.next_index -= 1
            elif token.kind != "|":
                self.unexpected(token, "operand")
            if not operands:
                self.fail("empty command", token.at)
            return CommandNode(start, self.source[start:end].rstrip(), tuple(operands))

    def operand(self) -> Operand | None:
        start = self.peek()
        base = self.term()
        if base is None or self.peek().kind != "field":
            return base
        at, path = self.peek().at, []
        while self.peek().kind == "field":
            path.append(self.take().text[1:])
        source = self.source[start.at : self.end()]
        if isinstance(base, Field):
            return Field(at, source, (*base.path, *path))
        if isinstance(base, Variable):
            return Variable(at, source, base.name, tuple(path))
        if isinstance(base, (Constant, Nil, Dot)):
            self.fail(f"unexpected . after term {quote(base.source)}", at)
        return Chain(at, source, base, tuple(path))

    def term(self) -> Operand | None:
        token = self.take()
        at, text = token.at, token.text
        if token.kind == "name":
            if text not in self.functions:
                self.fail(f"function {quote(text)} not defined", at)
            return IdentifierNode(at, text, text)
        if token.kind == "dot":
            return Dot(at, text)
        if token.kind == "nil":
            return Nil(at, text)
        if token.kind == "variable":
            if text not in self.variables:
                self.fail(f"undefined variable {quote(text)}", at)
            return Variable(at, text, text, ())
        if token.kind == "field":
            return Field(at, text, (text[1:],))
        if token.kind == "bool":
            return Constant(at, text, text == "true")
        if token.kind in ("number", "char"):
            return Constant(at, text, self.number(token))
        if token.kind == "string":
            return Constant(at, text, self.unquote(token))
        if token.kind == "(":
            return self.pipeline("parenthesized pipeline", ")")
        self.next_index -= 1
        return None

    def number(self, token: Token) -> int | float | complex:
        try:
            return literals.character(token.text) if token.kind == "char" else literals.number(token.text)
        except ValueError as error:
            self.fail(str(error), token.at)

    def unquote(self, token: Token) -> str:
        try:
            return literals.string(token.text)
        except ValueError as error:
            self.fail(str(error), token.at)
