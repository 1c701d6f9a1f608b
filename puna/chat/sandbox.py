"""A Jinja sandbox. Templates are untrusted, so they cannot reach Python objects and always terminate."""

from __future__ import annotations

import json
from functools import lru_cache
from types import GeneratorType
from typing import Any

from jinja2 import Template, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from puna.errors import BadRequest, PunaError

from . import limits
from .allowance import Allowance

_LEFT_OUT = ("center", "filesizeformat", "forceescape", "pprint", "random", "striptags", "urlize")
_LEFT_OUT += ("wordwrap", "xmlattr")
"""Forbidden filters: they can grow text without limit, and no chat template uses them."""


class ReadOnlyList(list[Any]):
    """A read-only list for templates."""


class TemplateRefusal(Exception):
    """The template called raise_exception to refuse these messages."""


def compile_template(source: str, names: dict[str, Any]) -> tuple[Template, frozenset[str]]:
    """The compiled template with globals `names`, and the variables that it reads. Raises BadRequest."""
    environment = _environment()
    try:
        tree = environment.parse(source)
        read = frozenset(name.lower() for name in meta.find_undeclared_variables(tree))
        code = environment.compile(_Metered().visit(tree))
    except TemplateSyntaxError as error:
        raise BadRequest(f"template: line {error.lineno}: {error.message}") from None
    except Exception as error:  # nesting or numbers beyond Python's compiler, …
        raise BadRequest(f"template: {error}") from None
    return Template.from_code(environment, code, environment.make_globals(names)), read


def render(template: Template, given: dict[str, Any], allowed: Allowance) -> str:
    """The rendered text. Raises BadRequest with raise_exception's message, PunaError for other errors."""
    try:
        with limits.budget(allowed):
            text = template.render(given)
            limits.limit(len(text))
    except TemplateRefusal as refusal:
        raise BadRequest(str(refusal)) from None
    except Exception as error:  # a template can raise any exception of Python's
        raise PunaError(f"template: {error}") from None
    return text


@pass_context
def _pay(_: Context, units: int) -> bool:
    limits.spend(units)
    return True


@pass_context
def _printable(_: Context, value: Any) -> Any:
    return limits.printable(value)


class _Metered(NodeTransformer):
    """Charges loops and macros for each iteration and its text, and `~` for its result."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        price = _price(node)
        node = self.visit_body(node)
        if node.test is not None:
            node.test = nodes.And(price, node.test)
        return node

    def visit_body(self, node: Any) -> Any:
        price = _price(node)
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(price))
        return node

    visit_Macro = visit_CallBlock = visit_body

    def visit_Concat(self, node: nodes.Concat) -> nodes.Concat:
        self.generic_visit(node)
        node.nodes = [nodes.Filter(part, "puna_printable", [], [], None, None) for part in node.nodes]
        return node


def _price(node: nodes.Node) -> nodes.Filter:
    text = sum(len(piece.data) for piece in node.find_all(nodes.TemplateData))
    return nodes.Filter(nodes.Const(1 + (text >> 6)), "puna_pay", [], [], None, None)


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks an answer for training; here it has no effect."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["+", "*", "%", "**"])

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Kimi's templates build a list of messages.
        if type(obj) is list and attr in ("append", "pop"):
            return True
        return super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        # A shortcut: templates that look back read their own namespaces most, which are safe.
        if type(obj) is Namespace and not attribute.startswith("_"):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        limits.binary(operator, left, right)
        return limits.charge(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        limits.call(__obj, args, kwargs)
        return limits.charge(super().call(__context, __obj, *args, **kwargs))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value if not isinstance(value, GeneratorType) else list(value),
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    environment = _Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
        finalize=limits.printable,
        optimized=False,
    )
    for name in _LEFT_OUT:
        del environment.filters[name]
    environment.filters["tojson"] = _to_json
    for name, function in environment.filters.items():
        environment.filters[name] = limits.guard(name, function)
    environment.filters |= {"puna_pay": _pay, "puna_printable": _printable}
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    return environment
