"""The tree of a parsed template, and Ollama's queries on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Node:
    """`at` is the position in the source for errors; `source` is the node's text in them."""

    at: int
    source: str


@dataclass(frozen=True)
class Dot(Node):
    """`.`"""


@dataclass(frozen=True)
class Nil(Node):
    """`nil`"""


@dataclass(frozen=True)
class Constant(Node):
    """A literal bool, number, character or string."""

    value: Any


@dataclass(frozen=True)
class Field(Node):
    """`.A.B`"""

    path: tuple[str, ...]


@dataclass(frozen=True)
class Variable(Node):
    """`$x.A.B`; `name` has its dollar."""

    name: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class IdentifierNode(Node):
    """The name of a function."""

    name: str


@dataclass(frozen=True)
class Chain(Node):
    """`(pipeline).A.B`"""

    base: Operand
    path: tuple[str, ...]


@dataclass(frozen=True)
class CommandNode(Node):
    """An operand, or a function and its arguments."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Pipeline(Node):
    """Commands joined by `|`; `variables` are declared, or with `assigns` set, to its value."""

    commands: tuple[CommandNode, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False


Operand = Dot | Nil | Constant | Field | Variable | IdentifierNode | Chain | Pipeline


@dataclass(frozen=True)
class TextNode(Node):
    """Text outside actions; `source` is it."""


@dataclass(frozen=True)
class Action(Node):
    """A pipeline whose value is printed."""

    pipeline: Pipeline


@dataclass(frozen=True)
class Branch(Node):
    """`if`, `with` or `range`."""

    kind: Literal["if", "with", "range"]
    pipeline: Pipeline
    body: Statements
    otherwise: Statements | None


@dataclass(frozen=True)
class Jump(Node):
    """`break` or `continue`."""

    kind: Literal["break", "continue"]


@dataclass(frozen=True)
class TemplateNode(Node):
    """`template "name" pipeline`"""

    name: str
    pipeline: Pipeline | None


Statement = TextNode | Action | Branch | Jump | TemplateNode
Statements = tuple[Statement, ...]


def walk(sequence: Statements) -> Iterator[Statement]:
    """Every statement of a template, including nested ones."""
    for statement in sequence:
        yield statement
        if isinstance(statement, Branch):
            yield from walk(statement.body)
            yield from walk(statement.otherwise or ())


def names(sequence: Statements) -> Iterator[str]:
    """Every field and variable name that a template uses, as written."""
    for statement in walk(sequence):
        if isinstance(statement, (Action, Branch, TemplateNode)) and statement.pipeline:
            yield from _names(statement.pipeline)


def _names(operand: Operand) -> Iterator[str]:
    if isinstance(operand, Field):
        yield from operand.path
    elif isinstance(operand, Variable):
        yield operand.name
        yield from operand.path
    elif isinstance(operand, Chain):
        yield from _names(operand.base)
        yield from operand.path
    elif isinstance(operand, Pipeline):
        for command in operand.commands:
            for inner in command.operands:
                yield from _names(inner)


def cut_after(sequence: Statements, name: str) -> tuple[Statements, bool]:
    """The template through the first action that prints the field `name`; whether there is one."""
    kept: list[Statement] = []
    for statement in sequence:
        found = False
        if isinstance(statement, Action):
            found = name in _names(statement.pipeline)
        elif isinstance(statement, Branch):
            body, in_body = cut_after(statement.body, name)
            otherwise, in_otherwise = cut_after(statement.otherwise or (), name)
            found = in_body or in_otherwise
            statement = replace(statement, body=body, otherwise=otherwise or None)
        kept.append(statement)
        if found:
            return tuple(kept), True
    return tuple(kept), False
