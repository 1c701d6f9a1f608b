"""A key: the secret that a client sends, and the record that the server keeps."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from puna.errors import BadRequest, InvalidName
from puna.library import Name

Scope = Literal["infer", "manage", "admin"]
"""`infer` uses models, `manage` changes them and reads the metrics, `admin` may do everything."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Quota = Annotated[int, msgspec.Meta(ge=0)]

_MARK = "puna"
_LONGEST_NAME = 100


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key's record: of its secret only the hash. 0, an empty list or None means "no limit"."""

    id: str
    """Part of the secret, by which the record is found."""
    name: str
    hash: str
    """SHA-256 of the secret, in hex. It is 256 random bits, so a slow hash would protect nothing more."""
    created: Moment
    scopes: tuple[Scope, ...] = ("infer",)
    models: tuple[str, ...] = ()
    """Names, or patterns of the names that `puna list` shows: "qwen3:*"."""
    expires: Moment | None = None
    requests_per_minute: Quota = 0
    tokens_per_day: Quota = 0
    """Tokens of prompts and answers together; days are UTC."""
    concurrent: Quota = 0
    share: str = ""
    """Keys with the same word here share cached prefixes; others never do."""

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= _LONGEST_NAME and self.name.isprintable()):
            raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters")
        for model in self.models:
            try:
                _pattern(model)
            except InvalidName as error:
                raise ValueError(f"{error}: {model}") from None

    @property
    def owner(self) -> str:
        """Whose cached prefixes its requests may use."""
        return f"share {self.share}" if self.share else f"key {self.id}"

    def matches(self, secret: str) -> bool:
        """Whether `secret` is this key. Takes as long for a wrong one as for the right one."""
        return hmac.compare_digest(self.hash, _hash(secret))

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def allows(self, model: Name) -> bool:
        """Whether it may use `model`."""
        if not self.models:
            return True
        name = model.display().lower()
        return any(fnmatchcase(name, pattern) for pattern in map(_pattern, self.models))


def new_key(name: str, **limits: object) -> tuple[Key, str]:
    """A key with these fields of `Key`, and its secret, which is not stored. Raises BadRequest."""
    id = secrets.token_hex(4)
    secret = f"{_MARK}_{id}_{secrets.token_urlsafe(32)}"
    fields = {"id": id, "name": name, "hash": _hash(secret), "created": datetime.now(timezone.utc), **limits}
    try:
        return msgspec.convert(fields, Key), secret
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None


def id_of(secret: str) -> str:
    """The id in a secret; empty when Puna did not make it."""
    mark, _, rest = secret.partition("_")
    id, _, random = rest.partition("_")
    return id if mark == _MARK and random else ""


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@lru_cache(maxsize=1024)
def _pattern(text: str) -> str:
    """A name as it is displayed, in lower case; a pattern stays as written."""
    return text.lower() if "*" in text else Name.parse(text).display().lower()
