"""POST /v1/embeddings."""

from __future__ import annotations

import base64
import struct
from typing import ClassVar, Literal

import msgspec
from starlette.requests import Request

from puna.errors import BadRequest
from puna.inference import EmbedInput, Inference
from puna.server.framing import WholeResponse
from puna.server.json_response import encode
from puna.server.openai.body import OpenAIRequest, TextOrTokens, is_tokens, read_body, texts_or_tokens
from puna.server.services import services_of

_FORMATS = ("float", "base64")


class CreateEmbeddingRequest(OpenAIRequest, kw_only=True):
    """The body of /v1/embeddings; `input` is texts or token ids (OpenAI, Create embeddings)."""

    names: ClassVar[dict[str, str]] = {"prompt": "input", "texts": "input"}

    input: TextOrTokens | None = None
    encoding_format: str | None = None
    dimensions: int | None = None

    def name_of(self, field: str) -> str:
        if is_tokens(self.input):
            field = field.replace("texts[0]", "texts")
        return super().name_of(field)


class EmbeddingUsage(msgspec.Struct):
    """Tokens of all inputs. Nothing is generated, so both are the same."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingItem(msgspec.Struct):
    """`embedding` is a list of numbers, or little-endian float32 in base64; `index` is the input's."""

    object: Literal["embedding"]
    embedding: list[float] | str
    index: int


class EmbeddingList(msgspec.Struct):
    """The answer of /v1/embeddings, in the order of the inputs."""

    object: Literal["list"]
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage


async def embeddings(request: Request) -> WholeResponse:
    """A vector for each input. Raises BadRequest for an unknown `encoding_format` or a size below 1."""
    body = await read_body(request, CreateEmbeddingRequest)
    model = body.model_name
    inputs = texts_or_tokens("input", body.input)
    written = (body.encoding_format or "float").lower()
    if written not in _FORMATS:
        message = f'invalid encoding_format "{body.encoding_format}": must be one of {", ".join(_FORMATS)}'
        raise BadRequest(message, "encoding_format")
    if body.dimensions is not None and body.dimensions < 1:
        raise BadRequest(f"dimensions must be at least 1, not {body.dimensions}", "dimensions")
    inference = services_of(request).inference
    ask = EmbedInput(model=model, texts=inputs, dimensions=body.dimensions or 0)
    return WholeResponse(_vectors(inference, ask, in_base64=written == "base64"))


async def _vectors(inference: Inference, ask: EmbedInput, *, in_base64: bool) -> bytes:
    answer = await inference.embed(ask)
    data = [
        EmbeddingItem("embedding", _base64(vector) if in_base64 else vector, index)
        for index, vector in enumerate(answer.vectors)
    ]
    usage = EmbeddingUsage(answer.tokens, answer.tokens)
    return encode(EmbeddingList("list", data, ask.model, usage))


def _base64(vector: list[float]) -> str:
    """Little-endian float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
