"""One request on the batch loop: its tokens, how far they are evaluated, and what ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from puna.engine.grammar import Matcher
from puna.engine.llama import Sampler
from puna.engine.text import TextStream
from puna.types import Finish, Job

NO_SLOT = -1


@dataclass(eq=False)
class Sequence:
    """Waiting (no slot), prefilling (evaluated < len(tokens) - 1 or fresh), or decoding."""

    request: int
    job: Job
    tokens: list[int]
    """Prompt and answer so far; after a shift, what of them is still in the context."""
    prompt_tokens: int
    num_ctx: int
    begins: bool
    """The prompt begins with the model's begin token, which num_keep does not count."""
    sampler: Sampler
    matcher: Matcher | None
    text: TextStream
    key: int = -1
    """Its name in the prefix cache while it runs."""
    slot: int = NO_SLOT
    evaluated: int = 0
    """Tokens whose KV is in the pool, from the first on."""
    cached_tokens: int = 0
    """Tokens of the prompt that were found evaluated."""
    shared: int = 0
    """Leading tokens whose cells another sequence held first."""
    prompt_ns: int = 0
    answered: int = 0
    first_token_at: int = 0
    last_token_at: int = 0
    history: list[int] = field(default_factory=list)
    """Prompt and answer in full, whatever was shifted out."""
    prompt_logits: NDArray[np.float32] | None = None

    @property
    def pending(self) -> int:
        """Tokens that wait for evaluation; exactly 1 while decoding."""
        return len(self.tokens) - self.evaluated

    @property
    def decoding(self) -> bool:
        return self.answered > 0 and self.pending == 1

    @property
    def limit(self) -> int:
        """Most tokens to answer; an unlimited answer ends at ten contexts, for models that never stop."""
        wanted = self.job.options.num_predict
        if wanted > 0:
            return wanted
        return self.num_ctx - self.prompt_tokens if wanted == -2 else 10 * self.num_ctx

    def take(self, token: int) -> None:
        """Append a sampled token."""
        now = time.perf_counter_ns()
        if not self.answered:
            self.first_token_at = now
        self.last_token_at = now
        self.answered += 1
        self.tokens.append(token)
        self.history.append(token)

    def finish(self, reason: Literal["stop", "length"]) -> Finish:
        return Finish(
            reason=reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            prompt_ns=self.prompt_ns,
            eval_tokens=self.answered,
            eval_ns=self.last_token_at - self.first_token_at,
            tokens=self.history,
        )
