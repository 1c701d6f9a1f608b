"""What fits in a context: pure arithmetic on tokens, with Ollama's rules for what is dropped."""

from __future__ import annotations

from puna.errors import PromptTooLong
from puna.types import BYTES_PER_TOKEN, Job

TOO_LONG = "the input length exceeds the context length"

TILE = 64
"""Rows that libllama's attention takes together; fewer take nearly as long (docs/performance.md)."""

_LONGEST_STEP = 300_000_000
"""Nanoseconds that an answer may wait for its next token during another prompt's evaluation."""


TokenRange = tuple[int, int]
"""The first of some tokens, and the first after them."""


def surplus(length: int, job: Job, *, num_ctx: int, has_bos: bool) -> TokenRange:
    """What to cut out of a prompt of `length` tokens so that it leaves room to answer in `num_ctx` tokens.

    The first `num_keep` tokens stay (and the begin token, if the prompt `has_bos`); then
    about half of the rest of the context is filled with the prompt's end, so that the answer has
    room (Ollama llm/llama_server.go). Raises PromptTooLong when the job forbids cutting.
    """
    if length < num_ctx:
        return 0, 0
    if not (job.truncate and job.shift):
        raise PromptTooLong(TOO_LONG, length, num_ctx - 1)
    keep = kept_tokens(job, num_ctx, has_bos=has_bos)
    room = num_ctx - max((num_ctx - keep) // 2, 1)
    return keep, length - (room - keep)


def cut_middle(text: str, job: Job, *, num_ctx: int) -> str:
    """`text` without the middle that `surplus` would cut out anyway, to save seconds of tokenizing."""
    tail = BYTES_PER_TOKEN * num_ctx  # characters: no more than bytes
    if len(text) <= 2 * tail:
        return text
    return text[: BYTES_PER_TOKEN * (kept_tokens(job, num_ctx, has_bos=True) + 1)] + text[-tail:]


def check_cut(text: str, cut: str, tokens: int, job: Job, *, num_ctx: int) -> None:
    """Raises PromptTooLong if `cut`, which has so many `tokens`, lacks the middle of `text` and may not.

    The number of tokens in the whole text is an estimate.
    """
    if len(cut) < len(text) and not (job.truncate and job.shift):
        raise PromptTooLong(TOO_LONG, max(tokens * len(text) // len(cut), num_ctx), num_ctx - 1)


def older_half(length: int, job: Job, *, num_ctx: int, has_bos: bool) -> TokenRange:
    """The older half of what `num_keep` does not protect in a full context of `length` tokens."""
    keep = kept_tokens(job, num_ctx, has_bos=has_bos)
    return keep, keep + max((length - keep) // 2, 1)


def kept_tokens(job: Job, num_ctx: int, *, has_bos: bool) -> int:
    """How many leading tokens are never dropped; a negative num_keep keeps all that fits."""
    num_keep = job.options.num_keep
    if num_keep < 0:
        return num_ctx - 2
    return max(0, min(num_keep + has_bos, num_ctx - 2))


def max_reported(prompts: int) -> int:
    """How many tokens of each of `prompts` prompts a step may report.

    Their logits are each as long as the vocabulary: those of a tile take up to 40 MB.
    """
    return max(TILE // max(prompts, 1), 1)


def share(remaining: list[int], budget: int) -> list[int]:
    """Split `budget` prompt tokens among sequences that still need `remaining`, evenly.

    Longer prompts get what a short one leaves, so that a short prompt never waits for a long one.
    """
    sizes = [0] * len(remaining)
    order = sorted(range(len(remaining)), key=remaining.__getitem__)
    for place, index in enumerate(order):
        sizes[index] = min(remaining[index], budget // (len(order) - place))
        budget -= sizes[index]
    return sizes


class PrefillChunk:
    """How many tokens a step of prompts and answers may have: as many as take 0.3 s.

    A token's cost depends on the machine, the model and the text before it, so it is measured continually.
    """

    def __init__(self, *, most: int) -> None:
        self.size = min(TILE, most)
        self._most = most

    def learn(self, tokens: int, took: int) -> None:
        """A step of `tokens` took so many nanoseconds."""
        if tokens < self.size:
            return  # it says little about a whole chunk
        fitting = tokens * _LONGEST_STEP // max(took, 1) // TILE * TILE
        self.size = min(max(fitting, TILE, self.size // 2), 2 * self.size, self._most)
