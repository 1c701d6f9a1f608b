"""The base of OpenAI request bodies. null means "left out"; unknown fields are ignored."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from starlette.requests import Request

from puna.errors import BadRequest
from puna.server.body import decode_body
from puna.server.fields import Fields, TokenId
from puna.server.openai.errors import use_field_names

TextOrTokens = str | list[str | TokenId | list[TokenId]]


class OpenAIRequest(Fields, kw_only=True):
    """A request body with a model, and the names of its fields in errors."""

    refused: ClassVar[dict[str, str]] = {}
    """Unsupported fields that would change the answer, and why they are refused."""
    names: ClassVar[dict[str, str]] = {"bias": "logit_bias"}
    """Inference's field names that differ here."""

    model: str | None = None

    def name_of(self, field: str) -> str:
        """The request's name for inference's `field`."""
        field = field.removeprefix("options.").replace(".images", ".content")
        name, bracket, place = field.partition("[")
        return self.names.get(field) or self.names.get(name, name) + bracket + place

    @property
    def model_name(self) -> str:
        """The model asked for. Raises BadRequest when there is none."""
        if self.model:
            return self.model
        raise BadRequest("model is required", "model", "missing_required_parameter")


B = TypeVar("B", bound=OpenAIRequest)


async def read_body(request: Request, kind: type[B]) -> B:
    """The request's body. Raises BadRequest if it is malformed or has an unsupported field."""
    body = await decode_body(request, kind)
    use_field_names(request, body.name_of)
    return check_supported(body)


def check_supported(body: B) -> B:
    """The body, if all its fields are supported. Raises BadRequest."""
    for field, reason in body.refused.items():
        given = getattr(body, field)
        if given or given == {}:  # web_search_options={} asks for a search.
            raise BadRequest(f"{field} is not supported: {reason}", field, "unsupported_parameter")
    return body


def texts_or_tokens(param: str, given: TextOrTokens | None) -> list[str | list[int]]:
    """A field of texts or lists of token ids, one or several, as a list. Raises BadRequest."""
    if given is None or given == []:
        raise BadRequest(f"{param} is required", param, "missing_required_parameter")
    if isinstance(given, str):
        return [given]
    if [] in given:
        raise BadRequest("a list of token ids is empty", f"{param}[{given.index([])}]")
    tokens = [item for item in given if isinstance(item, int)]
    if not tokens:
        return [item for item in given if not isinstance(item, int)]
    if len(tokens) < len(given):
        raise BadRequest(f"{param} mixes token ids with texts or lists", param)
    return [tokens]


def is_tokens(given: TextOrTokens | None) -> bool:
    """Whether a field is one list of token ids."""
    return isinstance(given, list) and any(isinstance(item, int) for item in given)
