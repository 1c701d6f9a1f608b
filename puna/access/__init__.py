"""Access control: keys, their limits, and the file that holds them.

A `Keyring` holds the keys of a file. `caller()` is the caller of the current request. Rooms above ask it
what the request may see, and report the tokens that it used.
"""

from puna.access.caller import Caller, caller
from puna.access.errors import AccessDenied, Forbidden, ModelForbidden, TooMany, Unauthorized
from puna.access.key import Key, Scope, new_key
from puna.access.keyfile import add_key, read_keys, remove_key
from puna.access.keyring import Keyring
from puna.access.usage import KeyUsage, read_usage, usage_path

__all__ = [
    "AccessDenied",
    "Caller",
    "Forbidden",
    "Key",
    "KeyUsage",
    "Keyring",
    "ModelForbidden",
    "Scope",
    "TooMany",
    "Unauthorized",
    "add_key",
    "caller",
    "new_key",
    "read_keys",
    "read_usage",
    "remove_key",
    "usage_path",
]
