"""Parses template source to trees, with Go's grammar and error messages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, cast

from .expressions import Expressions
from .lexer import Token, quote
from .nodes import Action, Branch, Jump, Pipeline, Statement, Statements, TemplateNode, TextNode

Trees = dict[str, Statements]
"""Templates by name; the main one is ""."""


def parse(source: str, functions: Collection[str]) -> Trees:
    """The templates in `source`. Raises BadRequest `template: :line:column: …`, columns from 0 in bytes."""
    return _TemplateParser(source, functions).whole()


class _TemplateParser(Expressions):
    """Statements: text, actions, and the control structures around them."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        super().__init__(source, functions)
        self.loops = 0
        self.trees: Trees = {}

    def whole(self) -> Trees:
        found: list[Statement] = []
        while (token := self.peek()).kind != "eof":
            if token.kind == "open":
                opened = self.next_index
                self.take()
                if self.take_solid()[:2] == ("word", "define"):
                    self.define()
                    continue
                self.next_index = opened
            statement = self.statement()
            if isinstance(statement, Token):
                self.fail(f"unexpected {{{{{statement.text}}}}}", statement.at)
            found.append(statement)
        self.add("", tuple(found), 0)
        return self.trees

    def add(self, name: str, body: Statements, at: int) -> None:
        """Add a template; one of only white space never replaces another."""
        if not _is_empty(body) and not _is_empty(self.trees.get(name, ())):
            self.fail(f"template: multiple definition of template {quote(name)}", at)
        if name not in self.trees or not _is_empty(body):
            self.trees[name] = body

    def define(self) -> None:
        name_token = self.take_solid()
        name = self.template_name(name_token, "define clause")
        self.closing("define clause")
        body, ending = self.own_body()
        if ending.text != "end":
            self.fail(f"unexpected {{{{{ending.text}}}}} in define clause", ending.at)
        self.add(name, body, name_token.at)

    def own_body(self) -> tuple[Statements, Token]:
        """A template's body, which does not see the surrounding variables and loops."""
        variables, loops, self.variables, self.loops = self.variables, self.loops, ["$"], 0
        try:
            return self.body()
        finally:
            self.variables, self.loops = variables, loops

    def body(self) -> tuple[Statements, Token]:
        """Statements up to an `end` or `else`, and its token."""
        self.deeper(self.peek().at)
        found: list[Statement] = []
        while self.peek().kind != "eof":
            statement = self.statement()
            if isinstance(statement, Token):
                self.depth -= 1
                return tuple(found), statement
            found.append(statement)
        return self.fail("unexpected EOF", self.peek().at)

    def statement(self) -> Statement | Token:
        token = self.take()
        if token.kind == "text":
            return TextNode(token.at, token.text)
        if token.kind != "open":
            self.unexpected(token, "input")
        self.action_start = token.at
        word = self.take_solid()
        if word.kind == "word":
            if word.text in ("if", "with", "range"):
                return self.branch(word)
            if word.text in ("break", "continue"):
                return self.jump(word)
            if word.text == "template":
                return self.call(word)
            if word.text == "block":
                return self.block(word)
            if word.text == "end":
                self.closing("end")
                return word
            if word.text == "else":
                self.skip_space()
                if self.peek()[:2] not in (("word", "if"), ("word", "with")):
                    self.closing("else")
                return word
        self.next_index -= 1
        pipeline = self.pipeline("command")
        return Action(pipeline.at, pipeline.source, pipeline)

    def closing(self, context: str) -> None:
        token = self.take_solid()
        if token.kind != "close":
            self.unexpected(token, f"{{{{{context}}}}}" if context in ("break", "continue") else context)

    def branch(self, word: Token) -> Branch:
        kind = cast(Literal["if", "with", "range"], word.text)
        known = len(self.variables)
        pipeline = self.pipeline(kind)
        self.loops += kind == "range"
        body, ending = self.body()
        self.loops -= kind == "range"
        otherwise: Statements | None = None
        if ending.text == "else":
            following = self.peek()
            if kind != "range" and following[:2] == ("word", kind):
                self.deeper(self.take().at)
                otherwise = (self.branch(following),)
                self.depth -= 1
            else:
                otherwise, ending = self.body()
                if ending.text != "end":
                    self.fail(f"expected end; found {{{{{ending.text}}}}}", ending.at)
        del self.variables[known:]
        return Branch(word.at, word.text, kind, pipeline, body, otherwise)

    def jump(self, word: Token) -> Jump:
        self.closing(word.text)
        if not self.loops:
            self.fail(f"{{{{{word.text}}}}} outside {{{{range}}}}", word.at)
        return Jump(word.at, word.text, cast(Literal["break", "continue"], word.text))

    def call(self, word: Token) -> TemplateNode:
        name_token = self.take_solid()
        name = self.template_name(name_token, "template clause")
        pipeline = None
        if self.take_solid().kind != "close":
            self.next_index -= 1
            pipeline = self.pipeline("template clause")
        return self.call_of(name, name_token, pipeline)

    def block(self, word: Token) -> TemplateNode:
        name_token = self.take_solid()
        name = self.template_name(name_token, "block clause")
        pipeline = self.pipeline("block clause")
        body, ending = self.own_body()
        if ending.text != "end":
            self.fail(f"unexpected {{{{{ending.text}}}}} in block clause", ending.at)
        self.add(name, body, name_token.at)
        return self.call_of(name, name_token, pipeline)

    def call_of(self, name: str, name_token: Token, pipeline: Pipeline | None) -> TemplateNode:
        shown = f"{quote(name)} {pipeline.source}" if pipeline else quote(name)
        return TemplateNode(name_token.at, f"{{{{template {shown}}}}}", name, pipeline)

    def template_name(self, token: Token, context: str) -> str:
        if token.kind != "string":
            self.unexpected(token, context)
        return self.unquote(token)


def _is_empty(body: Statements) -> bool:
    return all(isinstance(statement, TextNode) and not statement.source.strip() for statement in body)
