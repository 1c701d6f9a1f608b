"""The caller of the current request, known in its tasks and threads."""

from __future__ import annotations

from contextvars import ContextVar

from puna.access.account import Account
from puna.access.errors import ModelForbidden
from puna.access.key import Key
from puna.library import Name


class Caller:
    """Anybody, on a server without keys; otherwise the user of a key.

    Within `with who:` it is `caller()`, also in tasks and threads started there. Leaving ends its request.
    """

    def __init__(self, key: Key | None = None, account: Account | None = None, address: str = "") -> None:
        self.key = key
        self._address = address
        self._account = account

    def __enter__(self) -> Caller:
        self._before = _caller.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _caller.reset(self._before)
        if self._account:
            self._account.end()

    @property
    def name(self) -> str:
        """The key's name, for logs; empty without one."""
        return self.key.name if self.key else ""

    @property
    def id(self) -> str:
        """The key's id; empty without one."""
        return self.key.id if self.key else ""

    @property
    def user(self) -> str:
        """The user in the scheduler's turns: a key's, else the client's address."""
        return self.key.id if self.key else self._address

    @property
    def owner(self) -> str:
        """Whose cached prefixes this caller may use: its own, or its group's; empty without a key."""
        return self.key.owner if self.key else ""

    def sees(self, model: Name) -> bool:
        """Whether this caller may see `model`."""
        return self.key is None or self.key.allows(model)

    def check_model(self, model: str | Name) -> None:
        """Raises ModelForbidden unless the key allows the model, InvalidName."""
        if self.key is None or not self.key.models:
            return
        name = model if isinstance(model, Name) else Name.parse(model)
        if not self.key.allows(name):
            raise ModelForbidden(f'your key does not allow the model "{name.display()}"')

    def spend(self, tokens: int) -> None:
        """Count tokens of prompts and answers for this caller."""
        if self._account:
            self._account.spend(tokens)


_ANYONE = Caller()
_caller: ContextVar[Caller] = ContextVar("caller", default=_ANYONE)


def caller() -> Caller:
    """The caller of the current request."""
    return _caller.get()
