"""Media in prompts: their places, and their embeddings, which are kept for the next question.

A medium is a picture or a sound. "Picture" means either in this file.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

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
"""A picture's digest, which of its parts, and the part's rows."""

_MOST_IDS = 2**31


@dataclass(frozen=True, eq=False)
class MediaSpan:
    """A part of a picture at its place among a sequence's tokens."""

    start: int
    key: MediaKey
    chunk: MediaChunk

    @property
    def end(self) -> int:
        return self.start + self.chunk.rows


class Layout:
    """Where the pictures of a sequence stand: among its tokens, one a row, and in the model's positions.

    A sequence is cut, shared and continued between pictures and inside text, never inside a picture.
    """

    def __init__(self, spans: Iterable[MediaSpan] = ()) -> None:
        self.spans = tuple(spans)

    def position(self, index: int) -> int:
        """The position of token `index`, which is in no picture or begins one."""
        if not self.spans:
            return index
        return index - sum(s.chunk.rows - s.chunk.span for s in self.spans if s.end <= index)

    def ahead(self, index: int) -> list[MediaSpan]:
        """The pictures that begin at `index` or after it."""
        return [s for s in self.spans if s.start >= index]

    def text_end(self, index: int, end: int) -> int:
        """Where the text that begins at `index` ends: at the next picture, or at `end`."""
        return next((s.start for s in self.spans if s.start >= index), end)

    def whole(self, index: int) -> int:
        """The most tokens, at most `index`, that end inside no picture."""
        return next((s.start for s in self.spans if s.start < index < s.end), index)

    def widened(self, first: int, last: int) -> tuple[int, int]:
        """The range of tokens with all of each picture that it touches."""
        return self.whole(first), next((s.end for s in self.spans if s.start < last < s.end), last)

    def touched(self, first: int, last: int) -> bool:
        """Whether a range of tokens has any of a picture in it."""
        return any(s.start < last and s.end > first for s in self.spans)

    def without(self, first: int, last: int) -> Layout:
        """What is left when a range that splits no picture is cut out."""
        return Layout(s for s in self.spans if s.end <= first).then(
            Layout(s for s in self.spans if s.start >= last).moved(first - last)
        )

    def moved(self, by: int) -> Layout:
        return Layout(replace(s, start=s.start + by) for s in self.spans) if self.spans else self

    def then(self, other: Layout) -> Layout:
        return Layout(self.spans + other.spans)

    def words(self, tokens: Sequence[int]) -> list[int]:
        """The tokens that are no rows of pictures."""
        kept, at = [], 0
        for span in self.spans:
            kept += tokens[at : span.start]
            at = span.end
        return kept + list(tokens[at:])


TEXT = Layout()
"""A sequence without pictures."""


class EncoderCache:
    """The embeddings of an engine's pictures, and the encoder, which works in its own thread.

    `place` may run in any thread, all other methods in one, which gets the encoder's results by `post`.
    """

    def __init__(
        self, projector: Projector, *, n_vocab: int, limit: int, post: Callable[[Callable[[], None]], None]
    ) -> None:
        """`limit`: bytes that the encoder's results may take together."""
        self._projector = projector
        self._limit = limit
        self._post = post
        self._known: OrderedDict[MediaKey, NDArray[np.float32]] = OrderedDict()
        """Least recently used first."""
        self._size = 0
        self._failures: dict[bytes, str] = {}
        self._first_id = n_vocab
        self.encoding = False
        self._orders: SimpleQueue[tuple[Medium, bytes]] = SimpleQueue()
        start_thread(self._work)

    def taken(self, media: Sequence[Image | Sound]) -> tuple[Medium, ...]:
        """Pictures and sounds as the encoder takes them; sounds are decoded. Raises BadRequest."""
        return tuple(map(self._projector.taken, media))

    def place(self, prompt: str, media: Sequence[Medium], owner: str = "") -> tuple[list[int], Layout]:
        """The prompt's tokens, with a distinct number for each row of each picture, and where those are.

        A picture has the same numbers in every engine, all beyond the vocabulary, so that what compares
        tokens compares pictures too. Each owner has its own: nobody learns what another has sent. Raises
        BadRequest when markers and media do not fit.
        """
        digests = [_digest(medium, owner) for medium in media]
        tokens: list[int] = []
        spans: list[MediaSpan] = []
        for part in self._projector.read(prompt, media):
            if isinstance(part, list):
                tokens += part
                continue
            key = (digests[part.medium], part.part, part.rows)
            spans.append(MediaSpan(len(tokens), key, part))
            tokens += self._ids(key)
        return tokens, Layout(spans)

    def _ids(self, key: MediaKey) -> list[int]:
        """A number for each row of a part, drawn from what it shows."""
        digest, part, rows = key
        data = hashlib.shake_128(b"%b %d %d" % (digest, part, rows)).digest(8 * rows)
        ids = np.frombuffer(data, np.uint64) % np.uint64(_MOST_IDS - self._first_id) + np.uint64(
            self._first_id
        )
        return ids.tolist()

    def vectors(self, span: MediaSpan) -> NDArray[np.float32] | None:
        """The rows of a picture; None if they are not known. Raises PunaError when the encoder failed."""
        failure = self._failures.pop(span.key[0], None)
        if failure is not None:
            raise PunaError(failure)
        found = self._known.get(span.key)
        if found is not None:
            self._known.move_to_end(span.key)
        return found

    def encode(self, medium: Medium, span: MediaSpan) -> bool:
        """Start encoding `medium`, of which `span` is a part; False if the encoder is busy."""
        if self.encoding:
            return False
        self.encoding = True
        self._orders.put((medium, span.key[0]))
        return True

    def _work(self) -> None:
        while True:
            medium, digest = self._orders.get()
            try:
                parts = self._projector.encode(medium)
            except Exception as error:
                self._post(partial(self._fail, digest, reason(error)))
            else:
                self._post(partial(self._keep, digest, parts))

    def _fail(self, digest: bytes, message: str) -> None:
        self.encoding = False
        self._failures[digest] = message

    def _keep(self, digest: bytes, parts: list[NDArray[np.float32]]) -> None:
        self.encoding = False
        for number, rows in enumerate(parts):
            key = (digest, number, len(rows))
            known = self._known.pop(key, None)
            self._size += rows.nbytes - (0 if known is None else known.nbytes)
            self._known[key] = rows
        while self._size > self._limit and next(iter(self._known))[0] != digest:
            self._size -= self._known.popitem(last=False)[1].nbytes


def _digest(medium: Medium, owner: str) -> bytes:
    salt = hashlib.blake2b(owner.encode(), digest_size=16).digest()
    if not isinstance(medium, Image):
        return hashlib.blake2b(medium.data, digest_size=16, key=b"sound", salt=salt).digest()
    size = medium.width.to_bytes(4, "little") + medium.height.to_bytes(4, "little")
    return hashlib.blake2b(medium.rgb, digest_size=16, key=size, salt=salt).digest()
