"""String formats as regular expressions."""

from __future__ import annotations

_DATE = (
    "(?:(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(?:"
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
)
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LABEL = "[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,3}}"
_EMAIL = rf"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@{_HOST}"
_PATH = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*"
_PATHS = rf"(?:/(?:{_PATH[:-1]}+(?:/{_PATH})*)?)?"
_TAIL = rf"(?:\?(?:{_PATH}[/?]?)*)?(?:\#(?:{_PATH}[/?]?)*)?"
_N = "[0-9]{1,4}"
_DAYS = f"(?:{_N}Y(?:{_N}M(?:{_N}D)?)?|{_N}M(?:{_N}D)?|{_N}D)"
_HOURS = f"T(?:{_N}H(?:{_N}M(?:{_N}S)?)?|{_N}M(?:{_N}S)?|{_N}S)"
_POINTER = "(?:/(?:[^~/]|~[01])*)*"
_ATOM = r"(?:[A-Za-z0-9 _:,/@-]|\\[dwsDWS.]|\[[a-z0-9_]+\]|\.)"

FORMATS: dict[str, str] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": f"P(?:{_DAYS}(?:{_HOURS})?|{_HOURS}|{_N}W)",
    "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "hostname": _HOST,
    "idn-hostname": _HOST,
    "email": _EMAIL,
    "idn-email": _EMAIL,
    "iri": rf"https?://{_HOST}(?::[0-9]{{1,4}})?{_PATHS}{_TAIL}",
    "iri-reference": rf"(?:https?://{_HOST})?{_PATHS}{_TAIL}",
    "uri-reference": rf"(?:https?://{_HOST})?{_PATHS}{_TAIL}",
    "uri-template": rf"(?:https?://{_HOST})?(?:/{_PATH}(?:\{{[a-z]+\}})?)*",
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9]{{1,8}})(?:#|{_POINTER})",
    "regex": rf"\^?(?:{_ATOM}[*+?]?)*\$?",
}
"""Patterns of formats. Some cover only common values: RFC 3339 without leap seconds and RFC 1123 without
reserved labels, as in validators."""

KNOWN = {"ipv4", "ipv6", "uri"}
"""Formats that llguidance supports."""


def pattern_of(named: str) -> tuple[str, list[str]]:
    """llguidance's format ("" for none), and the patterns of a format that it lacks."""
    if named in FORMATS:
        return "", [f"^(?:{FORMATS[named]})$"]
    return (named if named in KNOWN else ""), []
