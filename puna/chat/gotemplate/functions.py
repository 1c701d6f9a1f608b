"""The functions of Go's text/template, and Ollama's own (template/template.go, `funcs`).

`and` and `or` are listed only by name: their arguments are evaluated lazily elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, NoReturn
from urllib.parse import quote_plus

from .compare import equal, less
from .printf import sprint, sprintf
from .values import ExecError, Struct, from_bytes, json_text, plain, to_bytes, truth, type_name

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


@dataclass(frozen=True)
class Builtin:
    """A function and its number of arguments; `most` None means any number.

    The first `texts` arguments must be strings; all if it is None.
    """

    run: Callable[..., Any]
    least: int = 1
    most: int | None = None
    texts: int | None = 0


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(to_bytes(value))
    if value is None:
        raise ExecError("len of nil pointer")
    if isinstance(value, (list, dict, bytes)) and not isinstance(value, Struct):
        return len(value)
    raise ExecError(f"len of type {type_name(value)}")


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise ExecError("index of untyped nil")
    for key in keys:
        if isinstance(value, (list, str, bytes)):
            items = to_bytes(value) if isinstance(value, str) else value
            at = _position(key, "index slice/array")
            if not 0 <= at < len(items):
                raise ExecError(f"index out of range: {at}")
            value = items[at]
        elif isinstance(value, dict) and not isinstance(value, Struct):
            if not isinstance(key, str):
                is_what = (
                    "is nil; should be of type" if key is None else f"has type {type_name(key)}; should be"
                )
                raise ExecError(f"value {is_what} string")
            value = value.get(key)
        elif value is None:
            raise ExecError("index of nil pointer")
        else:
            raise ExecError(f"can't index item of type {type_name(value)}")
    return value


def _position(key: Any, doing: str) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        raise ExecError(f"cannot {doing} with {f'type {type_name(key)}' if key is not None else 'nil'}")
    return key


def _slice(value: Any, *ends: Any) -> Any:
    if value is None:
        raise ExecError("slice of untyped nil")
    if len(ends) > 3:
        raise ExecError(f"too many slice indexes: {len(ends)}")
    if isinstance(value, str):
        if len(ends) == 3:
            raise ExecError("cannot 3-index slice a string")
        items: Any = to_bytes(value)
    elif isinstance(value, (list, bytes)):
        items = value
    else:
        raise ExecError(f"can't slice item of type {type_name(value)}")
    bounds = [0, len(items), len(items)]
    for place, end in enumerate(ends):
        bounds[place] = _position(end, "index slice/array")
        if not 0 <= bounds[place] <= len(items):
            raise ExecError(f"index out of range: {bounds[place]}")
    for low, high in pairwise(bounds):
        if low > high:
            raise ExecError(f"invalid slice index: {low} > {high}")
    cut = items[bounds[0] : bounds[1]]
    return from_bytes(cut) if isinstance(value, str) else cut


def _call(function: Any = None, *_: Any) -> NoReturn:
    if function is None:
        raise ExecError("call of nil")
    raise ExecError(f"non-function value of type {type_name(function)}")


def _joined(*values: Any) -> str:
    """The arguments as one string, for the escaping functions."""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(["<no value>" if value is None else value for value in values])


def _js(*values: Any) -> str:
    return "".join(_JS.get(c) or (c if c.isprintable() else f"\\u{ord(c):04X}") for c in _joined(*values))


def _type_script(value: Any) -> str:
    describe = getattr(value, "type_script", None)
    return describe() if describe else "any"


def _today(*_: Any) -> str:
    return date.today().isoformat()


def _yesterday(*_: Any) -> str:
    return (date.today() - timedelta(days=1)).isoformat()


FUNCTIONS: dict[str, Builtin] = {
    "and": Builtin(truth),
    "or": Builtin(truth),
    "not": Builtin(lambda value: not truth(value), 1, 1),
    "len": Builtin(_length, 1, 1),
    "index": Builtin(_index),
    "slice": Builtin(_slice),
    "call": Builtin(_call),
    "eq": Builtin(equal),
    "ne": Builtin(lambda a, b: not equal(a, b), 2, 2),
    "lt": Builtin(less, 2, 2),
    "le": Builtin(lambda a, b: less(a, b) or equal(a, b), 2, 2),
    "gt": Builtin(lambda a, b: not less(a, b) and not equal(a, b), 2, 2),
    "ge": Builtin(lambda a, b: not less(a, b), 2, 2),
    "print": Builtin(lambda *values: sprint(values), 0),
    "println": Builtin(lambda *values: " ".join(map(plain, values)) + "\n", 0),
    "printf": Builtin(lambda pattern, *values: sprintf(pattern, values), texts=1),
    "html": Builtin(lambda *values: _joined(*values).translate(_HTML), 0),
    "js": Builtin(_js, 0),
    "urlquery": Builtin(lambda *values: quote_plus(to_bytes(_joined(*values))), 0),
    "json": Builtin(json_text, 1, 1),
    "currentDate": Builtin(_today, 0, texts=None),
    "yesterdayDate": Builtin(_yesterday, 0, texts=None),
    "toTypeScriptType": Builtin(_type_script, 1, 1),
}
