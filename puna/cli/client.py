"""The official client, extended for the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ollama
from ollama import ProgressResponse

_NO_OBJECT = "it is not a JSON object"


class Client(ollama.Client):
    """The official client with more endpoints and fields. Raises ValueError unless an answer is an object."""

    def _request(self, cls: Any, *args: Any, stream: bool = False, **kwargs: Any) -> Any:
        try:
            answer = super()._request(cls, *args, stream=stream, **kwargs)
        except TypeError:
            raise ValueError(_NO_OBJECT) from None
        return _objects(answer) if stream else answer

    def _object(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer = self._request_raw(*args, **kwargs).json()
        if not isinstance(answer, dict):
            raise ValueError(_NO_OBJECT)
        return answer

    def details(self, model: str, *, verbose: bool = False) -> dict[str, Any]:
        """All of `/api/show`; the client's own `show` drops `system` and `tensors`. Raises ResponseError."""
        body = {"model": model, "verbose": True} if verbose else {"model": model}
        return self._object("POST", "/api/show", json=body)

    def create_model(self, request: dict[str, Any]) -> Iterator[ProgressResponse]:
        """`/api/create` with every field; the client's own `create` lacks renderer, parser and requires."""
        return self._request(ProgressResponse, "POST", "/api/create", json=request, stream=True)

    def check_name(self, model: str) -> None:
        """Raises ResponseError for an invalid model name. The model need not exist."""
        try:
            self.details(model)
        except ollama.ResponseError as error:
            if error.status_code == 400:
                raise

    def devices(self) -> dict[str, Any]:
        """`/api/devices`, which only Puna has."""
        return self._object("GET", "/api/devices")

    def is_puna(self) -> bool:
        """Whether the server is Puna."""
        return "puna" in self._object("GET", "/api/version")

    def has_blob(self, digest: str) -> bool:
        """Whether the server has the blob "sha256:<hex>". False on an error, which the upload will report."""
        try:
            self._request_raw("HEAD", f"/api/blobs/{digest}")
        except ollama.ResponseError:
            return False
        return True

    def offer_blob(self, digest: str, quoted_path: str) -> bool:
        """Let a local Puna server import a file in place; False if it declines."""
        try:
            self._request_raw("POST", f"/api/blobs/{digest}", headers={"Puna-Local-Path": quoted_path})
        except ollama.ResponseError:
            return False
        return True

    def send_blob(self, digest: str, size: int, pieces: Iterable[bytes]) -> None:
        """Upload the `size` bytes of a blob."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._request_raw("POST", f"/api/blobs/{digest}", content=pieces, headers=headers)


def _objects(answer: Iterator[Any]) -> Iterator[Any]:
    """A stream, whose every line must be an object; the official client assumes it."""
    try:
        yield from answer
    except (AttributeError, TypeError):
        raise ValueError(_NO_OBJECT) from None
