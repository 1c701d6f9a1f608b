"""Why a request is not let in. Each dialect words them in its own shape."""

from __future__ import annotations

from puna.errors import PunaError


class AccessDenied(PunaError):
    """`code` is OpenAI's word for the reason."""

    code = ""


class Unauthorized(AccessDenied):
    """There is no key with the request, or none that this server knows."""

    status = 401
    code = "invalid_api_key"


class Forbidden(AccessDenied):
    """The key lacks the scope; or nobody may do this here."""

    status = 403
    code = "missing_scope"


class ModelForbidden(Forbidden):
    """The key may not use this model, whether it exists or not."""

    code = "model_not_found"


class TooMany(AccessDenied):
    """The key's limit is reached: `counted` says of what, `retry_after` in how many seconds there is room."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, counted: str, retry_after: int) -> None:
        super().__init__(message)
        self.counted = counted
        self.retry_after = retry_after
