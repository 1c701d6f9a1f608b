"""Go's view of Python values: truth, type names, and the text of %v and encoding/json.

None is nil, dict a map[string]any, list a slice, int an int, float a float64, bytes a []byte. A str with
part of a character keeps its bytes as surrogateescape does.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_JSON_SPECIAL = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_JSON_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


class ExecError(Exception):
    """An operation that its values do not support; the message is Go's."""


Methods = dict[str, Callable[[Any], Any]]
"""The methods that a template may call on a value, without arguments."""


class Struct(dict[str, Any]):
    """A Go struct: exactly its fields, in order."""

    go_type = "struct"
    methods: Methods = {}  # noqa: RUF012

    @property
    def wire(self) -> dict[str, Any]:
        """The value that encoding/json writes for it, in order."""
        return self


class Printed:
    """A value with a String method, which is `str`."""

    methods: Methods = {"String": str}  # noqa: RUF012

    @property
    def wire(self) -> Any:
        """The value that encoding/json writes for it."""
        return self


class Absent(list[Any]):
    """A nil slice: empty, but `null` in JSON."""


def truth(value: Any) -> bool:
    """Whether `if` takes it as true: structs always, other values unless empty, zero or nil."""
    return True if isinstance(value, Struct) else bool(value)


def type_name(value: Any) -> str:
    """The type as %T shows it."""
    if value is None:
        return "<nil>"
    if isinstance(value, Struct):
        return value.go_type
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_TYPE_NAMES = (
    (str, "string"),
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (complex, "complex128"),
    (list, "[]interface {}"),
    (bytes, "[]uint8"),
    (dict, "map[string]interface {}"),
)


def shown(value: Any) -> str:
    """The text an action prints."""
    if type(value) is str:
        return value
    if value is None:
        return "<no value>"
    text = plain(value)
    return text.removeprefix("&") if isinstance(value, Struct) else text


def plain(value: Any, *, named: bool = False) -> str:
    """The text of %v, or with `named` of %+v."""
    if isinstance(value, Printed):
        return str(value)
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, (list, bytes)):
        return "[" + " ".join([plain(item, named=named) for item in value]) + "]"
    if isinstance(value, Struct):
        parts = [(f"{name}:" if named else "") + plain(item, named=named) for name, item in value.items()]
        return ("&" if value.go_type.startswith("*") else "") + "{" + " ".join(parts) + "}"
    if isinstance(value, dict):
        parts = [f"{key}:{plain(value[key], named=named)}" for key in sorted(value)]
        return f"map[{' '.join(parts)}]"
    if isinstance(value, complex):
        imaginary = shortest(value.imag)
        return f"({shortest(value.real)}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"
    return str(value)


def shortest(value: float, *, json: bool = False) -> str:
    """The shortest digits of `value`, with an exponent where %v (or encoding/json) has one."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    minus = "-" if sign else ""
    figures = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) + int(exponent) - 1 if value else 0
    lowest, highest = (-6, 20) if json else (-4, 5)
    if lowest <= power <= highest:
        return minus + _positional(figures, power)
    mantissa = figures[0] + ("." + figures[1:] if figures[1:] else "")
    # JSON drops the leading zero of a negative exponent only.
    width = 1 if json and power < 0 else 2
    return f"{minus}{mantissa}e{'-' if power < 0 else '+'}{abs(power):0{width}d}"


def _positional(figures: str, power: int) -> str:
    if power < 0:
        return "0." + "0" * (-power - 1) + figures
    whole, part = figures[: power + 1].ljust(power + 1, "0"), figures[power + 1 :]
    return f"{whole}.{part}" if part else whole


def json_text(value: Any) -> str:
    """The output of encoding/json's Marshal: sorted maps, HTML characters escaped."""
    if isinstance(value, str):
        return '"' + _JSON_SPECIAL.sub(_json_escape, value) + '"'
    if value is None or isinstance(value, Absent):
        return "null"
    if isinstance(value, float):
        return shortest(value, json=True)
    wire = value.wire if isinstance(value, (Struct, Printed)) else value
    if isinstance(wire, list):
        return "[" + ",".join([json_text(item) for item in wire]) + "]"
    if isinstance(wire, dict):
        items = wire.items() if isinstance(value, Struct) else sorted(wire.items())
        return "{" + ",".join([f"{json_text(key)}:{json_text(item)}" for key, item in items]) + "}"
    if isinstance(wire, bytes):
        return f'"{b64encode(wire).decode()}"'
    if isinstance(wire, str) or wire is None:
        return json_text(wire)
    return plain(value)


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    return _JSON_SHORT.get(character) or _HTML.get(character) or f"\\u{ord(character):04x}"


def to_bytes(text: str) -> bytes:
    """A Go string's bytes."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The Go string of these bytes."""
    return data.decode("utf-8", "surrogateescape")
