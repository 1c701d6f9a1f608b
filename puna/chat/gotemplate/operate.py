"""Compiles pipelines, commands and operands to closures from the run and the dot to a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from puna.errors import PunaError

from .cursor import location
from .functions import FUNCTIONS
from .nodes import (
    Chain,
    CommandNode,
    Constant,
    Dot,
    Field,
    IdentifierNode,
    Nil,
    Node,
    Operand,
    Pipeline,
    Variable,
)
from .run import Run
from .values import ExecError, Printed, Struct, truth, type_name

Evaluation = Callable[[Run, Any], Any]
Piped = Callable[[Run, Any, Any], Any]
"""Like Evaluation, with the piped value, or NOTHING."""
Fail = Callable[[object], NoReturn]

NOTHING: Any = object()


class Operations:
    """Compiles the expressions of the template `name` with text `source`."""

    def __init__(self, source: str, name: str) -> None:
        self.source = source
        self.name = name

    def failure(self, node: Node) -> Fail:
        """A function to call with the reason when `node` cannot be executed."""

        def fail(message: object) -> NoReturn:
            place = f'template: :{location(self.source, node.at)}: executing "{self.name}" at <{node.source}>'
            raise PunaError(f"{place}: {message}")

        return fail

    def pipeline(self, node: Pipeline) -> Evaluation:
        """The value of the last command; each command's value is the last argument of the next."""
        only = node.commands[0].operands
        if len(node.commands) == 1 and len(only) == 1 and not isinstance(only[0], Nil):
            return self.bound(node, self.operand(only[0]))
        first, *others = [self.command(command) for command in node.commands]

        def through(run: Run, dot: Any) -> Any:
            value = first(run, dot, NOTHING)
            for command in others:
                value = command(run, dot, value)
            return value

        return self.bound(node, through)

    def bound(self, node: Pipeline, value_of: Evaluation) -> Evaluation:
        """`value_of`, extended to declare or set the pipeline's variable."""
        if not node.variables:
            return value_of
        name, assigns = node.variables[0], node.assigns
        fail = self.failure(node.commands[-1].operands[0])

        def bind(run: Run, dot: Any) -> Any:
            value = value_of(run, dot)
            if not assigns:
                run.variables.append((name, value))
            elif not run.assign(name, value):
                fail(f"undefined variable: {name}")
            return value

        return bind

    def command(self, node: CommandNode) -> Piped:
        first, arguments = node.operands[0], node.operands[1:]
        if isinstance(first, IdentifierNode):
            return self.function(node, first, arguments)
        fail = self.failure(first)
        if isinstance(first, Nil):
            return lambda run, dot, piped: fail("nil is not a command")
        value_of = self.operand(first)
        path = first.path if isinstance(first, (Field, Variable, Chain)) else ()
        refusal = (
            f"{path[-1]} is not a method but has arguments"
            if path
            else f"can't give argument to non-function {first.source}"
        )

        def evaluate(run: Run, dot: Any, piped: Any) -> Any:
            refused = arguments or piped is not NOTHING
            if refused and not path:
                fail(refusal)
            value = value_of(run, dot)
            if refused:
                fail(refusal)
            return value

        return evaluate

    def function(self, node: Node, name: IdentifierNode, operands: tuple[Operand, ...]) -> Piped:
        if name.name in ("and", "or"):
            return self.either(name, operands)
        function = FUNCTIONS[name.name]
        least, most = function.least, 1 << 30 if function.most is None else function.most
        texts = most if function.texts is None else function.texts
        arguments = [
            (self.text if place < texts else self.operand)(operand) for place, operand in enumerate(operands)
        ]
        fail, miscount = self.failure(node), self.miscount(name, function.least, function.most)
        call, check = function.run, None
        if len(operands) < texts:
            check = self.string_check(operands[-1] if operands else name, "invalid value; expected string")

        def apply(run: Run, dot: Any, piped: Any) -> Any:
            count = len(arguments) + (piped is not NOTHING)
            if not least <= count <= most:
                miscount(count)
            values = [argument(run, dot) for argument in arguments]
            if piped is not NOTHING:
                values.append(check(piped) if check else piped)
            try:
                result = call(*values)
            except ExecError as fault:
                fail(f"error calling {name.name}: {fault}")
            if type(result) is str:
                run.spend(len(result) >> 6)
            return result

        return apply

    def either(self, name: IdentifierNode, operands: tuple[Operand, ...]) -> Piped:
        """`and` and `or`: the first deciding argument; later ones are not evaluated."""
        arguments, miscount = [self.operand(operand) for operand in operands], self.miscount(name, 1, None)
        deciding = name.name == "or"

        def decide(run: Run, dot: Any, piped: Any) -> Any:
            value = NOTHING
            for argument in arguments:
                value = argument(run, dot)
                if truth(value) is deciding:
                    return value
            if piped is not NOTHING:
                value = piped
            if value is NOTHING:
                miscount(0)
            return value

        return decide

    def miscount(self, name: IdentifierNode, least: int, most: int | None) -> Callable[[int], NoReturn]:
        fail = self.failure(name)
        wanted = f"{least}" if least == most else f"at least {least}"
        return lambda count: fail(f"wrong number of args for {name.name}: want {wanted} got {count}")

    def text(self, node: Operand) -> Evaluation:
        """An argument for a parameter that accepts only strings."""
        if isinstance(node, (Constant, Nil)) and not (isinstance(node, Constant) and type(node.value) is str):
            fail = self.failure(node)
            reason = "cannot assign nil to string"
            if isinstance(node, Constant):
                reason = f"expected string; found {node.source}"
            return lambda run, dot: fail(reason)
        nil = "wrong type for value; expected string; got interface {}"
        value_of, check = self.operand(node), self.string_check(node, nil)
        return lambda run, dot: check(value_of(run, dot))

    def string_check(self, node: Node, nil: str) -> Callable[[Any], str]:
        """A check that passes strings and refuses other values, nil with the reason `nil`."""
        fail = self.failure(node)

        def check(value: Any) -> str:
            if isinstance(value, str):
                return value
            return fail(
                nil if value is None else f"wrong type for value; expected string; got {type_name(value)}"
            )

        return check

    def operand(self, node: Operand) -> Evaluation:
        if isinstance(node, Dot):
            return lambda run, dot: dot
        if isinstance(node, Nil):
            return lambda run, dot: None
        if isinstance(node, Constant):
            value, fail = node.value, self.failure(node)
            if type(value) is int and value >= 1 << 63:
                return lambda run, dot: fail(f"{node.source} overflows int")
            return lambda run, dot: value
        if isinstance(node, Field):
            return self.field(node)
        if isinstance(node, Variable):
            return self.variable(node)
        if isinstance(node, IdentifierNode):
            apply = self.function(node, node, ())
            return lambda run, dot: apply(run, dot, NOTHING)
        if isinstance(node, Chain):
            base, path, fail = self.operand(node.base), node.path, self.failure(node)
            return lambda run, dot: _follow(base(run, dot), path, fail)
        return self.pipeline(node)

    def field(self, node: Field) -> Evaluation:
        path, name, fail = node.path, node.path[0], self.failure(node)
        if len(path) > 1:
            return lambda run, dot: _follow(dot, path, fail)

        def get(run: Run, dot: Any) -> Any:
            try:
                return dot[name]
            except (KeyError, TypeError):
                return _follow(dot, path, fail)

        return get

    def variable(self, node: Variable) -> Evaluation:
        name, path, fail = node.name, node.path, self.failure(node)

        def look_up(run: Run, dot: Any) -> Any:
            for known, value in reversed(run.variables):
                if known == name:
                    return _follow(value, path, fail) if path else value
            return fail(f"undefined variable: {name}")

        return look_up


def _follow(value: Any, path: tuple[str, ...], fail: Fail) -> Any:
    """The field or method at the end of `path`. A missing map entry is nil; a missing field is an error."""
    in_map = False
    for name in path:
        if value is None and not in_map:
            return None
        if isinstance(value, (Struct, Printed)) and name in value.methods:
            value, in_map = value.methods[name](value), False
        elif isinstance(value, Struct):
            if name not in value:
                fail(f"can't evaluate field {name} in type {value.go_type}")
            value, in_map = value[name], False
        elif isinstance(value, dict):
            value, in_map = value.get(name), True
        elif value is None:
            fail(f"nil pointer evaluating interface {{}}.{name}")
        else:
            fail(f"can't evaluate field {name} in type {'interface {}' if in_map else type_name(value)}")
    return value
