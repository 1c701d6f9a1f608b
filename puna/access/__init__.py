"""Who may ask a server for what: keys, their limits, and the file that holds them.

`Keyring` knows the keys of a file. `caller()` is who asks in the request at hand; rooms above ask it what a
request may see, and tell it what that took.
"""

from puna.access.caller import Caller, caller
from puna.access.errors import AccessDenied, Forbidden, ModelForbidden, TooMany, Unauthorized
from puna.access.key import Key, Scope, new_key
from puna.access.keyfile import add_key, read_keys, remove_key
from puna.access.keyring import Keyring
from puna.access.usage import Used, read_usage, usage_path

__all__ = [
    "AccessDenied",
    "Caller",
    "Forbidden",
    "Key",
    "Keyring",
    "ModelForbidden",
    "Scope",
    "TooMany",
    "Unauthorized",
    "Used",
    "add_key",
    "caller",
    "new_key",
    "read_keys",
    "read_usage",
    "remove_key",
    "usage_path",
]
