"""The errors that users see, with their HTTP statuses."""

from __future__ import annotations


class PunaError(Exception):
    """An error with a message for the user; `status` is its HTTP status."""

    status = 500
    retry_after = 0
    """Seconds after which the same request may succeed; 0 if unknown."""


class BadRequest(PunaError):
    """The request itself is wrong; the message names the field or option.

    `field` is its name in the request, or in inference's requests (`tools`, `messages[0].images`,
    `options.seed`): each dialect maps these to its own names. `code` is OpenAI's error code.
    """

    status = 400
    code = "invalid_value"

    def __init__(self, message: str, field: str = "", code: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.code = code or self.code


class InvalidField(BadRequest):
    """A field has an invalid value; `field` is its name in the request."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f'invalid value for "{field}": {what}', field)


class InvalidName(BadRequest):
    """A model name that breaks the rules of `puna.library.names`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "model")


class PromptTooLong(BadRequest):
    """The prompt is longer than the context, and may not be truncated.

    It has `tokens`, more than the `limit`. Both are 0 where they are unknown.
    """

    code = "context_length_exceeded"

    def __init__(self, message: str, tokens: int = 0, limit: int = 0) -> None:
        super().__init__(message, "prompt")
        self.tokens = tokens
        self.limit = limit


class NotFound(PunaError):
    """A model, blob or path does not exist."""

    status = 404


class Busy(PunaError):
    """The queue is full (OLLAMA_MAX_QUEUE)."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopping(PunaError):
    """The server is stopping."""

    status = 503

    def __init__(self) -> None:
        super().__init__("server is shutting down")


class LoadFailed(PunaError):
    """The engine could not load a model: corrupt file, unknown architecture, not enough memory."""


class DeviceFailed(LoadFailed):
    """The engine could not start on a GPU, usually because its memory is full."""


class EngineGone(PunaError):
    """The engine process ended during a request."""


class NotNumbers(PunaError):
    """The model computed NaN or infinity."""

    def __init__(self) -> None:
        super().__init__("the model computed NaN or infinity: its weights are damaged or overflow")
