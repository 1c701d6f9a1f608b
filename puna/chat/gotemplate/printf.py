"""Go's fmt.Sprintf and fmt.Sprint, as https://pkg.go.dev/fmt describes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from typing import Any

from .lexer import quote
from .values import Fault, Printed, Struct, literal, plain, shortest, to_bytes, type_name

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+# 0]*)(?:(?P<width_at>\[\d+\])?(?P<width>\*|\d+))?"
    r"(?:\.(?P<precision_at>\[\d+\])?(?P<precision>\*|\d*))?(?P<at>\[\d+\])?(?P<verb>.|\Z)",
    re.S,
)
_WIDEST = 1_000_000
_BASES = {"d": "d", "x": "x", "X": "X", "o": "o", "O": "o", "b": "b"}
_PREFIXES = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}


class _Spec:
    """One directive: its flags, width and precision."""

    def __init__(self, flags: str, width: int | None, precision: int | None, verb: str) -> None:
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        self.left = "-" in flags
        self.named = "+" in flags and verb == "v"
        self.plus = "+" in flags and verb != "v"
        self.sharp = "#" in flags
        self.blank = " " in flags
        self.zero = "0" in flags and not self.left
        self.width = width or 0
        self.precision = precision
        self.verb = verb

    def pad(self, text: str) -> str:
        """`text` made as wide as asked for, zeros going behind a sign."""
        missing = self.width - len(text)
        if missing <= 0:
            return text
        if self.left:
            return text + " " * missing
        if not self.zero:
            return " " * missing + text
        sign = text[:1] if text[:1] in ("+", "-") else ""
        return sign + "0" * missing + text[len(sign) :]

    def signed(self, text: str) -> str:
        if text.startswith("-"):
            return text
        return ("+" if self.plus else " " if self.blank else "") + text


def sprint(values: Sequence[Any]) -> str:
    """The values one behind the other, a space between two of which neither is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def sprintf(pattern: str, values: Sequence[Any]) -> str:
    """`pattern` filled with `values`; what does not fit is said in the text, as `%!d(string=a)`."""
    parts: list[str] = []
    next_value, chosen, behind = 0, False, 0
    for found in _DIRECTIVE.finditer(pattern):
        parts.append(pattern[behind : found.start()])
        behind = found.end()
        numbers: dict[str, int | None] = {"width": None, "precision": None}
        bad_index = False
        for part in ("width", "precision"):
            if index := found[f"{part}_at"]:
                next_value, chosen = int(index[1:-1]) - 1, True
            given = found[part]
            if given == "*":
                star = values[next_value] if 0 <= next_value < len(values) else None
                next_value += 1
                if isinstance(star, int) and abs(star) <= _WIDEST:
                    numbers[part] = star
                else:
                    parts.append(f"%!({'BADWIDTH' if part == 'width' else 'BADPREC'})")
            elif given is not None:
                numbers[part] = int(given or "0")
                if int(given or "0") > _WIDEST:
                    raise Fault(f"{part} {given} is too large")
        if index := found["at"]:
            next_value, chosen = int(index[1:-1]) - 1, True
            bad_index = not 0 <= next_value < len(values)
        verb = found["verb"]
        if not verb:
            parts.append("%!(NOVERB)")
        elif verb == "%":
            parts.append("%")
        elif bad_index:
            parts.append(f"%!{verb}(BADINDEX)")
        elif next_value >= len(values):
            parts.append(f"%!{verb}(MISSING)")
        else:
            spec = _Spec(found["flags"], numbers["width"], numbers["precision"], verb)
            parts.append(_formatted(spec, values[next_value]))
            next_value += 1
    parts.append(pattern[behind:])
    if not chosen and next_value < len(values):
        extra = [f"{type_name(v)}={plain(v)}" if v is not None else "<nil>" for v in values[next_value:]]
        parts.append(f"%!(EXTRA {', '.join(extra)})")
    return "".join(parts)


def _formatted(spec: _Spec, value: Any) -> str:
    verb = spec.verb
    if verb == "T":
        return spec.pad(type_name(value))
    if verb == "v" and (spec.sharp or isinstance(value, Struct)):
        return spec.pad(literal(value) if spec.sharp else plain(value, named=spec.named))
    if value is None:
        return spec.pad("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    if isinstance(value, Printed) and verb in "vsxXq":
        value = str(value)
    if isinstance(value, bool):
        return spec.pad(plain(value)) if verb in "tv" else _misfit(spec, value)
    if isinstance(value, str):
        return _text(spec, value)
    if isinstance(value, int):
        return _integer(spec, value)
    if isinstance(value, float):
        return _float(spec, value)
    if isinstance(value, list):
        return "[" + " ".join(_element(spec, item) for item in value) + "]"
    if isinstance(value, Struct):
        amp = "&" if value.go_type.startswith("*") else ""
        return amp + "{" + " ".join(_element(spec, item) for item in value.values()) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{_text(spec, k)}:{_element(spec, value[k])}" for k in sorted(value)) + "]"
    return _misfit(spec, value)


def _element(spec: _Spec, value: Any) -> str:
    """A value inside a list, map or struct: nil is `<nil>` there whatever the verb."""
    return "<nil>" if value is None else _formatted(spec, value)


def _misfit(spec: _Spec, value: Any) -> str:
    as_value = copy(spec)
    as_value.verb = "v"
    return f"%!{spec.verb}({type_name(value)}={_formatted(as_value, value)})"


def _text(spec: _Spec, value: str) -> str:
    verb = spec.verb
    if verb not in "vsqxX":
        return _misfit(spec, value)
    if verb in "xX":
        data = to_bytes(value)[: spec.precision]
        prefix = _PREFIXES[verb] if spec.sharp else ""
        digits = data.hex(" ") if spec.blank else data.hex()
        text = prefix + (digits.replace(" ", " " + prefix) if spec.blank else digits)
        return spec.pad(text.upper() if verb == "X" else text)
    value = value[: spec.precision]
    if verb != "q":
        return spec.pad(value)
    if spec.sharp and "`" not in value and value.replace("\t", "").isprintable():
        return spec.pad(f"`{value}`")
    text = quote(value)
    return spec.pad(text if not spec.plus else "".join(c if c.isascii() else quote_ascii(c) for c in text))


def quote_ascii(character: str) -> str:
    """A character as the escape that %+q writes."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _integer(spec: _Spec, value: int) -> str:
    verb = "d" if spec.verb == "v" else spec.verb
    if verb in "cqU":
        code = value if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else 0xFFFD
        if verb == "c":
            return spec.pad(chr(code))
        if verb == "q":
            return spec.pad("'" + quote(chr(code))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'")
        return spec.pad(f"U+{value:04X}" + (f" '{chr(code)}'" if spec.sharp else ""))
    if verb not in _BASES:
        return _misfit(spec, value)
    digits = format(abs(value), _BASES[verb])
    if spec.precision is not None:
        digits = digits.rjust(spec.precision, "0") if spec.precision or value else ""
        spec.zero = False
    prefix = "0o" if verb == "O" else _PREFIXES.get(verb, "") if spec.sharp else ""
    sign = spec.signed("-" if value < 0 else "")[:1]
    if spec.zero:
        digits = digits.rjust(spec.width - len(sign), "0")
    return spec.pad(sign + prefix + digits)


def _float(spec: _Spec, value: float) -> str:
    verb = "g" if spec.verb == "v" else spec.verb
    if verb == "F":
        verb = "f"
    if verb not in "eEfgG":
        return _misfit(spec, value)
    if verb in "gG" and spec.precision is None:
        text = shortest(value)
        text = text.upper() if verb == "G" else text
    else:
        text = f"{value:.{6 if spec.precision is None else spec.precision}{verb}}"
    return spec.pad(spec.signed(text))
