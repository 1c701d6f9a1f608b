"""multipart/form-data bodies (RFC 7578), decoded into typed structs as puna.server.body decodes JSON."""

from __future__ import annotations

from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from puna.errors import BadRequest
from puna.server.body import LIMIT, chunks, convert

T = TypeVar("T")

_MULTIPART = "multipart/form-data"
_FIELDS = 100


async def form(request: Request, kind: type[T]) -> T:
    """The fields as `kind`; files as bytes.

    Empty texts count as missing. A name that ends in `[]` is a list. Raises BadRequest, TooLarge.
    """
    if not request.headers.get("content-type", "").lower().startswith(_MULTIPART):
        raise BadRequest(f"the request body must be {_MULTIPART}")
    parser = MultiPartParser(request.headers, chunks(request, LIMIT), max_files=_FIELDS, max_fields=_FIELDS)
    # Uploads stay in memory, because they are private.
    parser.spool_max_size = LIMIT
    fields: dict[str, Any] = {}
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"invalid form in request body: {error.message}") from None
    try:
        for name, value in parsed.multi_items():
            given = await value.read() if isinstance(value, UploadFile) else value
            if name.endswith("[]"):
                fields.setdefault(name[:-2], []).append(given)
            elif given != "":
                fields[name] = given
    finally:
        await parsed.close()
    return convert(fields, kind, strict=False)
