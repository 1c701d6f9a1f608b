"""The header that sets `num_ctx`, because OpenAI's and Anthropic's requests have no field for it."""

from __future__ import annotations

from starlette.requests import Request

from puna.errors import BadRequest

HEADER = "puna-num-ctx"


def num_ctx(request: Request) -> dict[str, int]:
    """Ollama's option `num_ctx`, in tokens, if the header is set. Raises BadRequest."""
    given = request.headers.get(HEADER)
    if given is None:
        return {}
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given)):
        raise BadRequest(f'the header {HEADER} must be a number of tokens, and is "{given}"', HEADER)
    return {"num_ctx": int(given)}
