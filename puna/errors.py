"""What a person is told when something cannot be done, and with which HTTP status."""

from __future__ import annotations


class PunaError(Exception):
    """An error whose message is meant for the person who asked; `status` is its HTTP status."""

    status = 500
    retry_after = 0
    """Seconds after which the same request may go well; 0 where nobody knows."""


class BadRequest(PunaError):
    """The request itself is wrong; the message names the field or option.

    `field` is what the request calls it, or what inference's requests do (`tools`, `messages[0].images`,
    `options.seed`): each dialect has a table of its own names for those. `code` is OpenAI's word for what is
    wrong with it.
    """

    status = 400
    code = "invalid_value"

    def __init__(self, message: str, field: str = "", code: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.code = code or self.code


class InvalidField(BadRequest):
    """A field has a value that it cannot have; `field` is what the request itself calls it."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f'invalid value for "{field}": {what}', field)


class InvalidName(BadRequest):
    """A model name that breaks the rules of `puna.library.names`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "model")


class PromptTooLong(BadRequest):
    """What is to be read does not fit in the context, and may not be cut."""

    code = "context_length_exceeded"

    def __init__(self, message: str) -> None:
        super().__init__(message, "prompt")


class NotFound(PunaError):
    """A model, blob or path that is not there."""

    status = 404


class Busy(PunaError):
    """The queue is full (OLLAMA_MAX_QUEUE)."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopping(PunaError):
    """The server was told to stop."""

    status = 503

    def __init__(self) -> None:
        super().__init__("server is shutting down")


class LoadFailed(PunaError):
    """The engine could not load a model: corrupt file, unknown architecture, not enough memory."""


class DeviceFailed(LoadFailed):
    """A model's engine could not be started where it was to be on a GPU: mostly for want of its memory."""


class EngineGone(PunaError):
    """The engine process ended while it was working on a request."""


class NotNumbers(PunaError):
    """The model computed NaN or infinity."""

    def __init__(self) -> None:
        super().__init__("the model computed NaN or infinity: its weights are damaged or overflow")
