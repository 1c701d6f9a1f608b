"""Why a request is refused. Each dialect gives these errors its own shape."""

from __future__ import annotations

from puna.errors import PunaError


class AccessDenied(PunaError):
    """`code` is OpenAI's error code."""

    code = ""


class Unauthorized(AccessDenied):
    """The request has no key, or one that this server does not know."""

    status = 401
    code = "invalid_api_key"


class Forbidden(AccessDenied):
    """The key lacks the scope, or the server allows this to nobody."""

    status = 403
    code = "missing_scope"


class ModelForbidden(Forbidden):
    """The key may not use this model, whether it exists or not."""

    code = "model_not_found"


class TooMany(AccessDenied):
    """The key's limit is reached: `resource` names what is limited, `retry_after` is in seconds."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, resource: str, retry_after: int) -> None:
        super().__init__(message)
        self.resource = resource
        self.retry_after = retry_after
