"""Floats as printf writes them (https://pkg.go.dev/strconv, FormatFloat, and fmt's flags)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from .values import shortest

if TYPE_CHECKING:
    from .verbs import Spec


def float_text(spec: Spec, verb: str, value: float) -> str:
    """`value` under one of the verbs v b g G x X f F e E, padded."""
    verb = {"v": "g", "F": "f"}.get(verb, verb)
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "Inf"
        sign = spec.sign(negative=value < 0) or ("+" if text == "Inf" else "")
        return replace(spec, zero=False).pad(sign + text)
    text = _unsigned(verb, abs(value), spec.precision)
    if spec.sharp and verb != "b":
        text = _with_point(text, verb, spec.precision)
    sign = spec.sign(negative=math.copysign(1, value) < 0)
    if spec.zero:
        return sign + text.rjust(spec.width - len(sign), "0")
    return spec.pad(sign + text)


def _unsigned(verb: str, value: float, precision: int | None) -> str:
    if verb == "b":
        fraction, exponent = math.frexp(value)
        if value == 0 or exponent < -1021:  # numbers with less than 53 digits
            return f"{int(math.ldexp(value, 1074))}p-1074"
        return f"{int(math.ldexp(fraction, 53))}p{exponent - 53:+d}"
    if verb in "xX":
        text = _hexadecimal(value, precision)
    elif verb in "gG" and precision is None:
        text = shortest(value)
    else:
        return f"{value:.{6 if precision is None else precision}{verb}}"
    return text.upper() if verb in "GX" else text


def _hexadecimal(value: float, precision: int | None) -> str:
    fraction, exponent = math.frexp(value)
    mantissa = int(math.ldexp(fraction, 53))  # its first digit is before the point, 52 are after
    exponent = exponent - 1 if value else 0
    if precision is not None and precision < 13:
        dropped = 52 - 4 * precision
        rest = mantissa & (1 << dropped) - 1
        mantissa >>= dropped
        half = 1 << dropped - 1
        mantissa += rest > half or (rest == half and mantissa & 1)
        mantissa <<= dropped
        if mantissa >> 53:
            mantissa, exponent = mantissa >> 1, exponent + 1
    digits = f"{mantissa & (1 << 52) - 1:013x}"
    digits = digits.rstrip("0") if precision is None else digits[:precision].ljust(precision, "0")
    point = "." if digits else ""
    return f"0x{mantissa >> 52}{point}{digits}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _with_point(text: str, verb: str, precision: int | None) -> str:
    """`text` with a point, and with the trailing zeros that the shortest form omits."""
    missing = (6 if precision is None else precision) if verb in "gGx" else 0
    mark = next((c for c in ("pP" if verb in "xX" else "eE") if c in text), "")
    number, _, exponent = text.partition(mark) if mark else (text, "", "")
    digits = number.replace(".", "")
    missing -= len(digits.lstrip("0"))
    if "." not in number:
        missing -= number == "0"
        number += "."
    return number + "0" * missing + mark + exponent
