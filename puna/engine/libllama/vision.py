"""libmtmd, libllama's multimodal library: its projectors turn pictures and sounds into rows of embeddings.

A prompt has these rows instead of tokens.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, cast

import numpy as np
from llama_cpp import mtmd_cpp as M
from numpy.typing import NDArray

from puna.engine.libllama.devices import handle_of
from puna.engine.libllama.log import NO_REASON
from puna.engine.libllama.model import LlamaModel
from puna.engine.media import Medium
from puna.engine.ollama_gguf import projector
from puna.errors import BadRequest, LoadFailed, PunaError
from puna.gguf import GGUFFile
from puna.types import Image, Sound

MARKER: str = M.mtmd_default_marker().decode()
"""Stands for a picture or a sound in a prompt's text."""

MISSING = "this model is missing data required for"
"""Begins the errors for media that the model does not support."""

_LEAST_TOKENS = 1024
_UPSCALING = ("qwen2vl", "qwen3vl", "qwen3vlmoe")
"""Architectures whose smaller pictures are enlarged to `_LEAST_TOKENS`, as Ollama does.

With fewer, these models find and count things less accurately (ggml-org/llama.cpp#16842).
"""

_PROBE = 4096
"""Side in pixels of a picture with the most rows."""

_NO_ENCODER = "Failed to load CLIP model"
"""libmtmd's message about a GGUF file that is no projector."""

_MIN_SAMPLES = 2
"""With fewer, libmtmd ends the process."""

_SECTIONS = 4
"""Position ids of a row in M-RoPE: time, row, column, and an unused one."""


@dataclass(frozen=True, eq=False)
class MediaChunk:
    """A picture, a sound, or a part of one (a tile, half a minute) in a prompt."""

    medium: int
    """Its index among the prompt's pictures and sounds."""
    part: int
    """The part's index."""
    rows: int
    span: int
    """Positions it takes: fewer than rows if the positions are two-dimensional."""
    causal: bool
    """Whether its rows attend only to those before them."""
    base: NDArray[np.int32]
    slope: NDArray[np.int32]

    def positions(self, start: int) -> NDArray[np.int32]:
        """Sections x rows: the positions of its rows if it begins at `start`."""
        return self.base + self.slope * start


class Projector:
    """A model's projector. `tokenize` may run in one thread while `encode` runs in another."""

    def __init__(self, path: str, model: LlamaModel, *, threads: int, device: str, max_tokens: int) -> None:
        """`device`: a name; "" is the CPU. `max_tokens`: of a picture, if the projector may choose its size.

        Raises LoadFailed.
        """
        self._model = model
        self._path = path
        M.mtmd_helper_log_set(model.log.callback, ctypes.c_void_p())
        self._width = model.n_embd_inp
        enlarges = model.metadata("general.architecture") in _UPSCALING
        self._min_tokens = min(_LEAST_TOKENS, max_tokens) if enlarges else 0
        self.handle = self._load(threads, device, max_tokens=0)
        self.has_vision = bool(M.mtmd_support_vision(self.handle))
        self._mrope = bool(M.mtmd_decode_use_mrope(self.handle))
        self.has_audio = bool(M.mtmd_support_audio(self.handle))
        if self.has_vision and sum(self._largest_picture()) > max_tokens:
            M.mtmd_free(self.handle)
            self.handle = self._load(threads, device, max_tokens=max_tokens)
        self.noncausal_rows = 0
        if self.has_vision and not self._causal():
            # Other shapes may have more rows than a square, but fewer than the next square.
            self.noncausal_rows = (isqrt(max(self._largest_picture())) + 1) ** 2 - 1
        """Most rows that attend to each other, and so need one batch; 0 if attention is causal."""

    @property
    def row_size(self) -> int:
        """Bytes of an embedding."""
        return 4 * self._width

    @property
    def last_error(self) -> str:
        """libmtmd's last error."""
        return self._model.log.last_error

    def _load(self, threads: int, device: str, *, max_tokens: int) -> M.mtmd_context_p:
        params = M.mtmd_context_params_default()
        params.use_gpu = bool(device)
        params.device = cast(Any, handle_of(device))
        params.print_timings = False
        params.n_threads = threads
        params.image_min_tokens = self._min_tokens or -1
        params.image_max_tokens = max_tokens or -1
        log = self._model.log
        log.forget()
        try:
            with projector(self._path) as path:
                handle = M.mtmd_init_from_file(os.fsencode(path), self._model.handle, params)
                self._row_end = _row_end(path) if handle else None
        except OSError as error:
            raise LoadFailed(f"unable to load projector {self._path}: {error.strerror or error}") from error
        except LoadFailed as error:
            raise LoadFailed(f"unable to load projector: {error}") from error
        if not handle:
            reason = _reason(log.first_error)
            if reason.startswith(_NO_ENCODER):
                reason = "it is no projector"
            raise LoadFailed(f"unable to load projector {self._path}: {reason}")
        return handle

    def _causal(self, chunk: M.mtmd_input_chunk_p | None = None) -> bool:
        return not M.mtmd_decode_use_non_causal(self.handle, chunk)

    def _largest_picture(self) -> list[int]:
        """Rows of each part of the largest picture."""
        return [
            part.rows
            for part in self._split(MARKER, [_empty(_PROBE, _PROBE)])
            if isinstance(part, MediaChunk)
        ]

    def measure(self, medium: Image | Sound) -> int:
        """Tokens of a picture or a sound, with those that the family puts around it.

        Its data may be missing. Raises BadRequest.
        """
        self._check_sense(medium)
        outline: Medium
        if isinstance(medium, Sound):
            rate = M.mtmd_get_audio_sample_rate(self.handle)
            outline = np.zeros(max(_MIN_SAMPLES, int(medium.seconds * rate)), np.float32)
        else:
            outline = medium
        parts = self._split(MARKER, [_outline(outline)])
        return sum(len(part) if isinstance(part, list) else part.rows for part in parts)

    def _check_sense(self, medium: Image | Sound) -> None:
        if isinstance(medium, Sound) and not self.has_audio:
            raise _bad_media(f"{MISSING} audio input")
        if isinstance(medium, Image) and not self.has_vision:
            raise _bad_media(f"{MISSING} image input")

    def decode(self, medium: Image | Sound) -> Medium:
        """Check a picture, or decode a sound. Raises BadRequest."""
        self._check_sense(medium)
        if isinstance(medium, Sound):
            return self._decode_sound(medium.file)
        if len(medium.rgb) != medium.width * medium.height * 3:
            raise _bad_media(f"an image of {medium.width} x {medium.height} has {len(medium.rgb)} bytes")
        return medium

    def _decode_sound(self, file: bytes) -> NDArray[np.float32]:
        """The samples of a sound file, -1 to 1."""
        data = (ctypes.c_uint8 * len(file)).from_buffer_copy(file)
        bitmap = M.mtmd_helper_bitmap_init_from_buf(self.handle, cast(Any, data), len(file), False)
        count = M.mtmd_bitmap_get_nx(bitmap) if bitmap else 0
        if bitmap is None or count < _MIN_SAMPLES:
            M.mtmd_bitmap_free(cast(Any, bitmap))
            raise _bad_media("the sound is damaged or empty")
        pointer: Any = M.mtmd_bitmap_get_data(bitmap)
        samples = np.frombuffer(ctypes.string_at(pointer, count * 4), np.float32)
        M.mtmd_bitmap_free(bitmap)
        # A NaN in the file would become NaN logits.
        return np.clip(np.nan_to_num(samples), -1, 1)

    def tokenize(self, text: str, media: Sequence[Medium]) -> list[list[int] | MediaChunk]:
        """Tokens and media chunks in prompt order; nothing is encoded yet.

        The tokens include those that the family puts around a picture. Raises BadRequest when markers and
        media do not match, or for a picture that cannot be evaluated.
        """
        parts = self._split(text, [_outline(medium) for medium in media])
        for part in parts:
            if isinstance(part, MediaChunk) and not part.causal and part.rows > self.noncausal_rows:
                image = media[part.medium]
                assert isinstance(image, Image), "every family's sounds are causal"
                raise _bad_media(f"an image of {image.width} x {image.height} is too narrow for this model")
        return parts

    def encode(self, medium: Medium) -> list[NDArray[np.float32]]:
        """Rows x width for each part of a picture or a sound. Raises PunaError on failure."""
        with _Chunks(self, MARKER, [_bitmap(medium)]) as chunks:
            return [self._encode(chunk) for chunk in chunks if not _is_text(chunk)]

    def _encode(self, chunk: M.mtmd_input_chunk_p) -> NDArray[np.float32]:
        if M.mtmd_encode_chunk(self.handle, chunk) != 0:
            what = "sound" if _is_sound(chunk) else "image"
            raise PunaError(f"the {what} could not be encoded: {_reason(self.last_error)}")
        rows = M.mtmd_input_chunk_get_n_tokens(chunk)
        pointer: Any = M.mtmd_get_output_embd(self.handle)
        vectors = np.ctypeslib.as_array(pointer, (rows, self._width)).copy()
        if self._row_end is not None:
            # libmtmd clears memory for these rows by multiplying it with 0, and a NaN in it stays one.
            vectors[((vectors == self._row_end) | np.isnan(vectors)).all(axis=1)] = self._row_end
        return vectors

    def _split(self, text: str, bitmaps: list[Any]) -> list[list[int] | MediaChunk]:
        parts: list[list[int] | MediaChunk] = []
        with _Chunks(self, text, bitmaps) as chunks:
            counts: dict[int, int] = {}
            for chunk in chunks:
                if _is_text(chunk):
                    parts.append(_tokens(chunk))
                    continue
                medium = int(M.mtmd_input_chunk_get_id(chunk) or 0)
                part = counts[medium] = counts.get(medium, -1) + 1
                parts.append(self._media_chunk(chunk, medium, part))
        return parts

    def _media_chunk(self, chunk: M.mtmd_input_chunk_p, medium: int, part: int) -> MediaChunk:
        rows = M.mtmd_input_chunk_get_n_tokens(chunk)
        base, next_base = (self._positions(chunk, rows, start) for start in (0, 1))
        return MediaChunk(
            medium=medium,
            part=part,
            rows=rows,
            span=M.mtmd_input_chunk_get_n_pos(chunk),
            causal=self._causal(chunk),
            base=base,
            slope=next_base - base,
        )

    def _positions(self, chunk: M.mtmd_input_chunk_p, rows: int, start: int) -> NDArray[np.int32]:
        if not self._mrope:
            return np.arange(start, start + rows, dtype=np.int32)[None]
        if _is_sound(chunk):
            return np.tile(np.arange(start, start + rows, dtype=np.int32), (_SECTIONS, 1))
        positions = (M.mtmd_decoder_pos * rows)()
        image: Any = M.mtmd_input_chunk_get_tokens_image(chunk)
        M.mtmd_helper_image_get_decoder_pos(image, cast(Any, start), cast(Any, positions))
        # libllama expects time, row, column; the struct has the column before the row (mtmd-helper-common.h).
        txyz = np.frombuffer(cast(Any, positions), np.int32).reshape(rows, _SECTIONS)
        return np.ascontiguousarray(txyz[:, [0, 2, 1, 3]].T)


def _row_end(path: str) -> NDArray[np.float32] | None:
    """The embedding that ends a row of a picture (Pixtral); None if pictures have none."""
    with GGUFFile(Path(path)) as file:
        tensor = file.tensors.get("v.token_embd.img_break")
        if tensor is None or tensor.type_name != "F32":
            return None
        return np.frombuffer(b"".join(file.data(tensor)), np.float32)


def _bad_media(problem: str) -> BadRequest:
    return BadRequest(problem, "images")


class _Chunks:
    """A context manager for libmtmd's chunks of a prompt. It frees them and the bitmaps."""

    def __init__(self, projector: Projector, text: str, bitmaps: list[Any]) -> None:
        markers = text.count(MARKER)
        self._bitmaps = bitmaps
        self._handle: Any = M.mtmd_input_chunks_init()
        try:
            if markers != len(bitmaps):
                raise _bad_media(f"the prompt has {markers} places for {len(bitmaps)} images or sounds")
            for number, bitmap in enumerate(bitmaps):
                M.mtmd_bitmap_set_id(bitmap, b"%d" % number)
            data = text.encode("utf-8", "surrogatepass")
            text_input = M.mtmd_input_text(data, len(data), False, True)
            handles = (M.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
            pointer: Any = ctypes.byref(text_input)
            if M.mtmd_tokenize(projector.handle, self._handle, pointer, handles, len(bitmaps)):
                raise _bad_media(f"the images or sounds cannot be read: {_reason(projector.last_error)}")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> _Chunks:
        return self

    def __exit__(self, *_: object) -> None:
        M.mtmd_input_chunks_free(self._handle)
        for bitmap in self._bitmaps:
            M.mtmd_bitmap_free(bitmap)

    def __iter__(self):
        for at in range(M.mtmd_input_chunks_size(self._handle)):
            chunk = M.mtmd_input_chunks_get(self._handle, at)
            assert chunk is not None
            yield chunk


def _bitmap(medium: Medium) -> Any:
    if not isinstance(medium, Image):
        address = ctypes.cast(medium.ctypes.data, ctypes.POINTER(ctypes.c_float))
        return M.mtmd_bitmap_init_from_audio(len(medium), cast(Any, address))
    pixels = np.frombuffer(medium.rgb, np.uint8)
    address = ctypes.cast(pixels.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
    return M.mtmd_bitmap_init(medium.width, medium.height, cast(Any, address))


def _outline(medium: Medium) -> Any:
    """A bitmap of the same size without data, from which libmtmd counts rows."""
    if isinstance(medium, Image):
        return _empty(medium.width, medium.height)
    return M.mtmd_bitmap_init_from_audio(len(medium), cast(Any, None))


def _empty(width: int, height: int) -> Any:
    return M.mtmd_bitmap_init(width, height, cast(Any, None))


def _is_text(chunk: M.mtmd_input_chunk_p) -> bool:
    return M.mtmd_input_chunk_get_type(chunk) == M.MTMD_INPUT_CHUNK_TYPE_TEXT


def _is_sound(chunk: M.mtmd_input_chunk_p) -> bool:
    return M.mtmd_input_chunk_get_type(chunk) == M.MTMD_INPUT_CHUNK_TYPE_AUDIO


def _tokens(chunk: M.mtmd_input_chunk_p) -> list[int]:
    count = ctypes.c_size_t()
    tokens: Any = M.mtmd_input_chunk_get_tokens_text(chunk, cast(Any, ctypes.byref(count)))
    return tokens[: count.value]


def _reason(message: str) -> str:
    """libmtmd's message without the function names before it and the hint after it."""
    first = message.partition("\n")[0]
    return first.rpartition("error: " if "error: " in first else ": ")[2].strip() or NO_REASON
