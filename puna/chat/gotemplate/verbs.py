"""Formats a value by one directive of printf (https://pkg.go.dev/fmt, Printing)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .floats import float_text
from .lexer import quote
from .values import Printed, Struct, to_bytes, type_name

_BASES = {"d": "d", "v": "d", "x": "x", "X": "X", "o": "o", "O": "o", "b": "b"}
_PREFIXES = {"x": "0x", "X": "0X", "b": "0b"}
_FLOATS = frozenset("vbgGxXfFeE")
_REPLACEMENT = 0xFFFD


@dataclass(frozen=True)
class Spec:
    """A directive's flags, width and precision; `named` and `literal` are set by %+v and %#v."""

    left: bool = False
    plus: bool = False
    sharp: bool = False
    blank: bool = False
    zero: bool = False
    named: bool = False
    literal: bool = False
    width: int = 0
    precision: int | None = None

    @classmethod
    def of(cls, flags: str, width: int | None, precision: int | None, verb: str) -> Spec:
        """From the flags as written; a negative width means left alignment."""
        width = width or 0
        return cls(
            left="-" in flags or width < 0,
            plus="+" in flags and verb not in "vw",
            sharp="#" in flags and verb not in "vw",
            blank=" " in flags,
            zero="0" in flags and "-" not in flags and width >= 0,
            named="+" in flags and verb in "vw",
            literal="#" in flags and verb in "vw",
            width=abs(width),
            precision=precision,
        )

    def pad(self, text: str) -> str:
        """`text` padded to the width."""
        if self.left:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")

    def sign(self, *, negative: bool) -> str:
        return "-" if negative else "+" if self.plus else " " if self.blank else ""


def format_value(spec: Spec, verb: str, value: Any, *, inside: bool = False) -> str:
    """`value` under `verb`; `inside` a list, map or struct, nil is always `<nil>`."""
    if value is None:
        return _nil(spec, verb, inside=inside)
    if verb == "T" and not inside:
        return _text(spec, "s", type_name(value))
    if verb == "w":
        return _misfit(spec, verb, value)
    if isinstance(value, Printed) and verb in "vsxXq" and not spec.literal:
        return _text(spec, verb, str(value))
    if isinstance(value, bool):
        return spec.pad("true" if value else "false") if verb in "tv" else _misfit(spec, verb, value)
    if isinstance(value, str):
        return _text(spec, verb, value)
    if isinstance(value, int):
        return _integer(spec, verb, value)
    if isinstance(value, float):
        return float_text(spec, verb, value) if verb in _FLOATS else _misfit(spec, verb, value)
    if isinstance(value, complex):
        return _complex(spec, verb, value)
    return _together(spec, verb, value)


def _nil(spec: Spec, verb: str, *, inside: bool) -> str:
    if inside:
        return "interface {}(nil)" if spec.literal else "<nil>"
    return spec.pad("<nil>") if verb in "vT" else f"%!{verb}(<nil>)"


def _together(spec: Spec, verb: str, value: Any) -> str:
    """A list, map or struct, with every part under `verb`."""

    def parts() -> Any:
        if isinstance(value, (list, bytes)):
            return [format_value(spec, verb, item, inside=True) for item in value]
        keys = value if isinstance(value, Struct) else sorted(value)
        named = not isinstance(value, Struct) or spec.named or spec.literal
        return [
            (_name(spec, verb, key, value) + ":" if named else "")
            + format_value(spec, verb, value[key], inside=True)
            for key in keys
        ]

    if spec.literal:
        return f"{type_name(value).replace('*', '&')}{{{', '.join(parts())}}}"
    if isinstance(value, bytes) and verb in "sxXq":
        return _text(spec, verb, value.decode("utf-8", "surrogateescape"))
    if isinstance(value, Struct):
        return ("&" if value.go_type.startswith("*") else "") + "{" + " ".join(parts()) + "}"
    if isinstance(value, dict):
        return f"map[{' '.join(parts())}]"
    return f"[{' '.join(parts())}]"


def _name(spec: Spec, verb: str, key: str, value: Any) -> str:
    return key if isinstance(value, Struct) else format_value(spec, verb, key)


def _misfit(spec: Spec, verb: str, value: Any) -> str:
    return f"%!{verb}({type_name(value)}={format_value(spec, 'v', value)})"


def _text(spec: Spec, verb: str, value: str) -> str:
    if verb not in "vsqxX":
        return _misfit(spec, verb, value)
    if verb in "xX":
        return spec.pad(_hexadecimal(spec, to_bytes(value)[: spec.precision], verb))
    value = value[: spec.precision]
    if verb == "s" or (verb == "v" and not spec.literal):
        return spec.pad(value)
    if spec.sharp and _fits_backquotes(value):
        return spec.pad(f"`{value}`")
    text = quote(value)
    return spec.pad("".join(map(quote_ascii, text)) if spec.plus else text)


def _hexadecimal(spec: Spec, data: bytes, verb: str) -> str:
    prefix = "0x" if spec.sharp and data else ""
    text = prefix + (data.hex(" ").replace(" ", f" {prefix}") if spec.blank else data.hex())
    return text.upper() if verb == "X" else text


def _fits_backquotes(text: str) -> bool:
    return not any(c in "`\x7f\ufeff" or (c < " " and c != "\t") or "\ud800" <= c <= "\udfff" for c in text)


def quote_ascii(character: str) -> str:
    """A character as %+q writes it, in quotation marks."""
    code = ord(character)
    return character if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _integer(spec: Spec, verb: str, value: int) -> str:
    if verb in "cqU":
        return _character(spec, verb, value)
    if verb not in _BASES:
        return _misfit(spec, verb, value)
    if spec.precision == 0 and value == 0:
        return " " * spec.width
    digits, sign = format(abs(value), _BASES[verb]), spec.sign(negative=value < 0)
    if spec.precision is not None:
        digits = digits.rjust(spec.precision, "0")
    elif spec.zero:
        digits = digits.rjust(spec.width - len(sign), "0")
    prefix = _PREFIXES.get(verb, "") if spec.sharp else ""
    if spec.sharp and verb in "oO" and not digits.startswith("0"):
        prefix = "0"
    return replace(spec, zero=False).pad(sign + ("0o" if verb == "O" else "") + prefix + digits)


def _character(spec: Spec, verb: str, value: int) -> str:
    code = value if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else _REPLACEMENT
    if verb == "c":
        return spec.pad(chr(code))
    if verb == "q":
        text = quote(chr(code))[1:-1].replace('\\"', '"').replace("'", "\\'")
        return spec.pad(f"'{''.join(map(quote_ascii, text)) if spec.plus else text}'")
    digits = format(value & (1 << 64) - 1, "X").rjust(max(4, spec.precision or 0), "0")
    shown = spec.sharp and code == value and chr(code).isprintable()
    return replace(spec, zero=False).pad(f"U+{digits}" + (f" '{chr(code)}'" if shown else ""))


def _complex(spec: Spec, verb: str, value: complex) -> str:
    if verb not in _FLOATS:
        return _misfit(spec, verb, value)
    imaginary = float_text(replace(spec, plus=True), verb, value.imag)
    return f"({float_text(spec, verb, value.real)}{imaginary}i)"
