"""Pictures and sounds in prompts: where they are among the tokens, and the cache of their embeddings.

A medium is a picture or a sound. In this file, "picture" means both.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from puna.engine.messages import reason
from puna.engine.vital import start_thread
from puna.errors import PunaError
from puna.types import Image, Sound

if TYPE_CHECKING:
    from puna.engine.libllama.vision import MediaChunk, Projector

Medium = Image | NDArray[np.float32]
"""A picture, or a sound's samples at the projector's rate, -1 to 1."""

MediaKey = tuple[bytes, int, int]
"""A picture's digest, the part's index, and the part's rows."""

_ID_LIMIT = 2**31


@dataclass(frozen=True, eq=False)
class MediaSpan:
    """A part of a picture, and where it begins among a sequence's tokens."""

    start: int
    key: MediaKey
    chunk: MediaChunk

    @property
    def end(self) -> int:
        return self.start + self.chunk.rows


class Layout:
    """Where the pictures of a sequence are among its tokens (one id for each row), and their positions.

    A sequence is never cut or shared inside a picture.
    """

    def __init__(self, spans: Iterable[MediaSpan] = ()) -> None:
        self.spans = tuple(spans)

    def position(self, index: int) -> int:
        """The position of token `index`, which is text or the first row of a picture."""
        if not self.spans:
            return index
        return index - sum(s.chunk.rows - s.chunk.span for s in self.spans if s.end <= index)

    def spans_from(self, index: int) -> list[MediaSpan]:
        """The pictures that begin at `index` or after it."""
        return [s for s in self.spans if s.start >= index]

    def text_end(self, index: int, end: int) -> int:
        """Where the text that begins at `index` ends: at the next picture, or at `end`."""
        return next((s.start for s in self.spans if s.start >= index), end)

    def cut_before(self, index: int) -> int:
        """The longest length, at most `index`, that cuts no picture."""
        return next((s.start for s in self.spans if s.start < index < s.end), index)

    def widen(self, first: int, last: int) -> tuple[int, int]:
        """The range, extended by the rest of the pictures at its ends."""
        return self.cut_before(first), next((s.end for s in self.spans if s.start < last < s.end), last)

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any row of a picture is in the range."""
        return any(s.start < last and s.end > first for s in self.spans)

    def without(self, first: int, last: int) -> Layout:
        """The layout after a range that cuts no picture is removed."""
        before = tuple(s for s in self.spans if s.end <= first)
        return Layout(before + Layout(s for s in self.spans if s.start >= last).offset_by(first - last).spans)

    def offset_by(self, by: int) -> Layout:
        return Layout(replace(s, start=s.start + by) for s in self.spans) if self.spans else self

    def text_tokens(self, tokens: Sequence[int]) -> list[int]:
        """The tokens without the rows of pictures."""
        text, start = [], 0
        for span in self.spans:
            text += tokens[start : span.start]
            start = span.end
        return text + list(tokens[start:])


TEXT = Layout()
"""A sequence without pictures."""


class EncoderCache:
    """Runs the projector in a thread, and caches its output.

    `tokenize` may run in any thread, all other methods in one, to which `post` hands the output.
    """

    def __init__(
        self, projector: Projector, *, n_vocab: int, limit: int, post: Callable[[Callable[[], None]], None]
    ) -> None:
        """`limit`: bytes of the cache."""
        self._projector = projector
        self._limit = limit
        self.most_rows = limit // projector.row_size
        """How many rows it keeps."""
        self._post = post
        self._vectors: OrderedDict[MediaKey, NDArray[np.float32]] = OrderedDict()
        """Least recently used first."""
        self._size = 0
        self._failures: WeakKeyDictionary[MediaSpan, str] = WeakKeyDictionary()
        """Of the spans whose sequences wait. Another sequence with the same picture tries again."""
        self._first_id = n_vocab
        self.encoding = False
        self.arrived = False
        """Whether an output, or a failure, has come since the step began."""
        self._queue: SimpleQueue[tuple[Medium, MediaSpan]] = SimpleQueue()
        start_thread(self._work)

    def decode(self, media: Sequence[Image | Sound]) -> tuple[Medium, ...]:
        """Check pictures, and decode sounds. Raises BadRequest."""
        return tuple(map(self._projector.decode, media))

    def measure(self, medium: Image | Sound) -> int:
        """Tokens of a picture or a sound, whose data may be missing. Raises BadRequest."""
        return self._projector.measure(medium)

    def tokenize(self, prompt: str, media: Sequence[Medium], owner: str = "") -> tuple[list[int], Layout]:
        """The prompt's tokens, with an id for each row of each picture, and the layout.

        These ids are beyond the vocabulary, and depend on the picture and the owner only. So comparing
        tokens compares pictures too, and nobody finds another owner's. Raises BadRequest when markers and
        media do not match.
        """
        digests = [_digest(medium, owner) for medium in media]
        tokens: list[int] = []
        spans: list[MediaSpan] = []
        for part in self._projector.tokenize(prompt, media):
            if isinstance(part, list):
                tokens += part
                continue
            key = (digests[part.medium], part.part, part.rows)
            spans.append(MediaSpan(len(tokens), key, part))
            tokens += self._ids(key)
        return tokens, Layout(spans)

    def _ids(self, key: MediaKey) -> list[int]:
        """An id for each row of a part, derived from its key."""
        digest, part, rows = key
        data = hashlib.shake_128(b"%b %d %d" % (digest, part, rows)).digest(8 * rows)
        ids = np.frombuffer(data, np.uint64) % np.uint64(_ID_LIMIT - self._first_id) + np.uint64(
            self._first_id
        )
        return ids.tolist()

    def vectors(self, span: MediaSpan) -> NDArray[np.float32] | None:
        """A picture's rows; None if they are not in the cache. Raises PunaError if the encoder failed."""
        failure = self._failures.pop(span, None)
        if failure is not None:
            raise PunaError(failure)
        vectors = self._vectors.get(span.key)
        if vectors is not None:
            self._vectors.move_to_end(span.key)
        return vectors

    def encode(self, medium: Medium, span: MediaSpan) -> bool:
        """Start encoding `medium`, to which `span` belongs; False if the encoder is busy."""
        if self.encoding:
            return False
        self.encoding = True
        self._queue.put((medium, span))
        return True

    def _work(self) -> None:
        while True:
            medium, span = self._queue.get()
            try:
                parts = self._projector.encode(medium)
            except Exception as error:
                self._post(partial(self._fail, span, reason(error)))
            else:
                self._post(partial(self._store, span.key[0], parts))

    def _fail(self, span: MediaSpan, message: str) -> None:
        self.encoding, self.arrived = False, True
        self._failures[span] = message

    def _store(self, digest: bytes, parts: list[NDArray[np.float32]]) -> None:
        self.encoding, self.arrived = False, True
        for number, rows in enumerate(parts):
            key = (digest, number, len(rows))
            replaced = self._vectors.pop(key, None)
            self._size += rows.nbytes - (0 if replaced is None else replaced.nbytes)
            self._vectors[key] = rows
        while self._size > self._limit and next(iter(self._vectors))[0] != digest:
            self._size -= self._vectors.popitem(last=False)[1].nbytes


def _digest(medium: Medium, owner: str) -> bytes:
    salt = hashlib.blake2b(owner.encode(), digest_size=16).digest()
    if not isinstance(medium, Image):
        return hashlib.blake2b(medium.data, digest_size=16, key=b"sound", salt=salt).digest()
    size = medium.width.to_bytes(4, "little") + medium.height.to_bytes(4, "little")
    return hashlib.blake2b(medium.rgb, digest_size=16, key=size, salt=salt).digest()
