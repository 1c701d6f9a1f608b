"""Compiles trees to closures, which write text: one function for each kind of statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from puna.chat.allowance import SHORT, Allowance
from puna.errors import PunaError

from .nodes import Action, Branch, Jump, Statement, Statements, TemplateNode, TextNode
from .operate import Operations
from .parser import Trees
from .run import Run
from .values import ExecError, Struct, plain, shown, truth

_DEEPEST = 100

Signal = Literal["break", "continue"] | None
Exec = Callable[[Run, Any], Signal]


class Program:
    """A compiled template. It has no state between runs."""

    def __init__(self, source: str, trees: Trees) -> None:
        self._templates: dict[str, Exec] = {}
        for name, tree in trees.items():
            self._templates[name] = _Statements(source, name, self._templates).sequence(tree)

    def execute(self, dot: dict[str, Any], allowed: Allowance = SHORT) -> str:
        """The template's text for `dot`. Raises PunaError `template: :line:column: executing …`."""
        run = Run(dot, allowed)
        try:
            self._templates[""](run, dot)
        except RecursionError:
            raise PunaError("template: exceeded maximum template depth") from None
        text = "".join(run.out)
        try:
            text.encode()
        except UnicodeEncodeError:  # part of a character, cut by `slice`
            text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return text


class _Statements(Operations):
    """Compiles one template; `templates` holds the closures of all, by name."""

    def __init__(self, source: str, name: str, templates: dict[str, Exec]) -> None:
        super().__init__(source, name)
        self.templates = templates

    def sequence(self, statements: Statements) -> Exec:
        steps = [self.statement(statement) for statement in statements]
        if len(steps) == 1:
            return steps[0]

        def run_all(run: Run, dot: Any) -> Signal:
            for step in steps:
                if signal := step(run, dot):
                    return signal
            return None

        return run_all

    def statement(self, node: Statement) -> Exec:
        if isinstance(node, TextNode):
            text = node.source
            return lambda run, dot: run.write(text)
        if isinstance(node, Action):
            value_of = self.pipeline(node.pipeline)
            if not node.pipeline.variables:
                return lambda run, dot: run.write(shown(value_of(run, dot)))

            def bind(run: Run, dot: Any) -> None:
                value_of(run, dot)

            return bind
        if isinstance(node, Jump):
            kind = node.kind
            return lambda run, dot: kind
        if isinstance(node, TemplateNode):
            return self.call(node)
        return self.loop(node) if node.kind == "range" else self.choice(node)

    def choice(self, node: Branch) -> Exec:
        """`if`, and `with`, which sets the dot."""
        test, moves = self.pipeline(node.pipeline), node.kind == "with"
        body, otherwise = self.sequence(node.body), self.sequence(node.otherwise or ())

        def choose(run: Run, dot: Any) -> Signal:
            mark = len(run.variables)
            value = test(run, dot)
            signal = body(run, value if moves else dot) if truth(value) else otherwise(run, dot)
            del run.variables[mark:]
            return signal

        return choose

    def loop(self, node: Branch) -> Exec:
        """`range`: one variable is the element, two are index and element."""
        names, assigns = node.pipeline.variables, node.pipeline.assigns
        value_of, fail = self.pipeline(node.pipeline), self.failure(node.pipeline.commands[-1].operands[0])
        body, otherwise = self.sequence(node.body), self.sequence(node.otherwise or ())

        def repeat(run: Run, dot: Any) -> Signal:
            start = len(run.variables)
            value = value_of(run, dot)
            mark = len(run.variables)
            try:
                pairs = _pairs(value, len(names))
            except ExecError as fault:
                fail(fault)
            entered, signal = False, None
            for pair in pairs:
                entered = True
                run.spend(1)
                for name, item in zip(names, pair[2 - len(names) :], strict=True):
                    if assigns:
                        run.assign(name, item)
                    else:
                        run.variables.append((name, item))
                if body(run, pair[1]) == "break":
                    break
                del run.variables[mark:]
            if not entered:
                signal = otherwise(run, dot)
            del run.variables[start:]
            return signal

        return repeat

    def call(self, node: TemplateNode) -> Exec:
        name, templates, fail = node.name, self.templates, self.failure(node)
        value_of = self.pipeline(node.pipeline) if node.pipeline else lambda run, dot: None

        def enter(run: Run, dot: Any) -> None:
            template = templates.get(name)
            if template is None:
                fail(f'template "{name}" not defined')
            if run.depth >= _DEEPEST:
                fail(f"exceeded maximum template depth ({_DEEPEST})")
            run.spend(1)
            inner = value_of(run, dot)
            outer, run.variables = run.variables, [("$", inner)]
            run.depth += 1
            template(run, inner)
            run.depth -= 1
            run.variables = outer

        return enter


def _pairs(value: Any, variables: int) -> Iterable[tuple[Any, Any]]:
    """The (index, element) pairs that `range` goes through. Raises ExecError."""
    if value is None:
        return ()
    if isinstance(value, (list, bytes)):
        return enumerate(value)
    if isinstance(value, dict) and not isinstance(value, Struct):
        return sorted(value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        if variables > 1:
            raise ExecError(f"can't use {value} to iterate over more than one variable")
        return zip(range(value), range(value), strict=True)
    raise ExecError(f"range can't iterate over {plain(value)}")
