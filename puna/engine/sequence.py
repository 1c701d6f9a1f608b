"""One request in the batch loop: its tokens, how many are evaluated, and what ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from puna.engine.drafts import Drafter, EvaluatedRows, Proposal, ProposalRequest, TokenText
from puna.engine.grammar import Matcher
from puna.engine.libllama import Sampler
from puna.engine.logprobs import Bias
from puna.engine.media import TEXT, Layout, Medium
from puna.engine.memory import SequenceMemory
from puna.engine.text import TextStream
from puna.types import Ended, Finish, Job, TokenLogprob

_MOST_REPEATS = 30
"""Most repeats of one token (Ollama llm/llama_server.go): after more, an answer never ends by itself."""


@dataclass(eq=False)
class Sequence:
    """Waiting (without a slot), prefilling, or decoding (one token of the answer is pending)."""

    request: int
    job: Job
    tokens: list[int]
    """Prompt and answer so far, without what a shift dropped. A picture has one id for each of its rows,
    beyond the vocabulary."""
    prompt_tokens: int
    num_ctx: int
    has_bos: bool
    """Whether the prompt begins with the BOS token, which num_keep does not count."""
    sampler: Sampler
    matcher: Matcher | None
    text: TextStream
    unshown: list[tuple[int, TokenLogprob]] = field(default_factory=list)
    """Reports of tokens that may belong to a stop string, and where in the text each token begins."""
    visible: dict[int, bytes] = field(default_factory=dict)
    """Control tokens that appear in the answer, with their text."""
    bias: Bias | None = None
    drafter: Drafter | None = None
    """None if drafts are off."""
    drafted: int = 0
    """Drafted tokens that were evaluated."""
    accepted: int = 0
    """Drafted tokens that were accepted."""
    layout: Layout = TEXT
    """Where pictures and sounds are in `tokens`."""
    media: tuple[Medium, ...] = ()
    """Its pictures and sounds, for the encoder."""
    key: int = -1
    """Its key in the prefix index while it runs."""
    memory: SequenceMemory = field(default_factory=SequenceMemory)
    stops: set[int] = field(default_factory=set)
    """Lengths at which a chunk of its prompt ends, for a snapshot."""
    cached_tokens: int = 0
    """Tokens of the prompt from the prefix cache."""
    shared: int = 0
    """Leading tokens whose cells are those of `shares_with`."""
    shares_with: Sequence | None = None
    """A running sequence."""
    truncated: bool = False
    """The middle of the prompt was cut out."""
    encoded: int = 0
    """Pictures and sounds that were not in the encoder cache."""
    media_wait_since: int = 0
    """When it began to wait for the encoder, in ns; 0 if it does not wait."""
    prompt_ns: int = 0
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)
    """With `job.echo`: those of the prompt's tokens so far."""
    started: bool = False
    """Whether its Started event was sent."""
    preempted: bool = False
    """It was preempted for another user's prompt, and is not again."""
    answered: int = 0
    """Tokens of the answer."""
    reported: int = 0
    """Tokens of the answer reported so far."""
    repeated: bytes = b""
    """The last token's text, without surrounding white space."""
    repeats: int = 0
    """Consecutive tokens of the same text."""
    answering_since: int = 0
    """When the prompt's evaluation ended."""
    last_token_at: int = 0
    history: list[int] = field(default_factory=list)
    """Prompt and answer in full: with what a shift dropped, without pictures."""
    shifted: bool = False
    """A shift has dropped part of the prompt or the answer."""
    prompt_logits: NDArray[np.float32] | None = None

    @property
    def slot(self) -> int:
        return self.memory.slot

    @property
    def evaluated(self) -> int:
        """Tokens evaluated, from the first on."""
        return self.memory.length

    @property
    def pending(self) -> int:
        """Tokens to evaluate; exactly 1 while decoding."""
        return len(self.tokens) - self.evaluated

    @property
    def ready(self) -> int:
        """Tokens of text that the next batch may evaluate: up to the next picture or stop."""
        end = self.layout.text_end(self.evaluated, len(self.tokens))
        return min((stop for stop in self.stops if self.evaluated < stop < end), default=end) - self.evaluated

    @property
    def scoring(self) -> bool:
        """Whether probabilities of the prompt's tokens are still to be reported."""
        return self.job.echo and not self.started

    @property
    def decoding(self) -> bool:
        return self.answered > 0 and self.pending == 1

    @property
    def limit(self) -> int:
        """Most tokens of the answer. An unlimited one ends after ten contexts, for models that never stop."""
        num_predict = self.job.options.num_predict
        if num_predict > 0:
            return num_predict
        return self.num_ctx - self.prompt_tokens if num_predict == -2 else 10 * self.num_ctx

    @property
    def unbiased(self) -> bool:
        """Whether the next token is drawn from the unchanged logits."""
        return self.bias is None and not self.job.silent

    def draw(self, logits: NDArray[np.float32]) -> int:
        """Draw the next token.

        A grammar checks the token first, and masks the logits only if it rejects it: a check is cheaper
        than a mask.
        """
        if self.bias is not None:
            logits = self.bias.apply(logits)
        token = self.sampler.sample(logits)
        # A failed matcher's mask would allow only the end, as if the answer were complete.
        if self.matcher is not None and not self.matcher.allows(token) and self.matcher.error is None:
            logits = logits.copy()
            self.matcher.constrain(logits)
            token = self.sampler.sample(logits)
            if logits[token] == -np.inf:
                # Extreme options can remove every token that the grammar allows.
                token = int(logits.argmax())
            self.matcher.accept(token)
        self.sampler.accept(token)
        return token

    def append(self, token: int) -> None:
        """Append a drawn token."""
        self.last_token_at = time.perf_counter_ns()
        self.answered += 1
        self.tokens.append(token)
        self.history.append(token)
        if self.drafter is not None:
            self.drafter.take(token)

    def draft(self, most: int, shared: TokenText) -> tuple[list[int], list[float]]:
        """A draft of at most `most` tokens, and for each the probability that it and all before it are right.

        `shared`: texts that the answer may repeat, besides the sequence itself.
        """
        room = self.room(most)
        if self.drafter is None or not room:
            return [], []
        forced = self.matcher.forced_tokens() if self.matcher is not None else []
        return self.drafter.draft(room, forced=forced, shared=shared)

    def room(self, most: int) -> int:
        """How many tokens, at most `most`, may still follow the next one."""
        return max(0, min(most, self.limit - self.answered - 1, self.num_ctx - len(self.tokens) - 1))

    @property
    def follows(self) -> bool:
        """Whether the proposer follows its evaluation. An MTP layer sees no pictures."""
        return self.drafter is not None and not self.layout.spans

    def evaluated_rows(self, first: int, size: int, draft: list[int]) -> EvaluatedRows:
        """Its rows of a batch, from row `first` on: `size` tokens and a draft."""
        start = self.evaluated
        return EvaluatedRows(self.request, self.job.owner, self.tokens, start, start + size, draft, first)

    def proposal_request(self, most: int, least: float) -> ProposalRequest:
        """The request to the proposer, which sees no pictures."""
        return ProposalRequest(
            self.request, self.layout.text_tokens(self.tokens), most, least, self.job.owner
        )

    def weigh(self, proposal: Proposal) -> list[float]:
        """For each proposed token, the probability that it and all before it are right."""
        assert self.drafter is not None
        return self.drafter.confidence.weigh(proposal.tokens, proposal.probabilities)

    def piece(self, token: int, plain: bytes) -> str:
        """The text that `token` completes. `plain`: its bytes in the vocabulary."""
        return self.text.feed(self.visible.get(token, plain))

    def shown_reports(self) -> tuple[TokenLogprob, ...]:
        """The new reports of tokens that begin in the text shown so far: never those of a stop string."""
        text = self.text
        all_shown = text.shown == text.read and not text.stopped
        ready = tuple(report for begin, report in self.unshown if all_shown or begin < text.shown)
        del self.unshown[: len(ready)]
        return ready

    def repeats_itself(self, plain: bytes) -> bool:
        """Count repeats of the last token, whose bytes are `plain`; whether there are too many."""
        text = plain.strip()
        self.repeats = self.repeats + 1 if text == self.repeated and self.answered > 1 else 0
        self.repeated = text
        return self.repeats > _MOST_REPEATS

    def count_new_tokens(self) -> int:
        """How many tokens the answer has more than at the last call."""
        reported, self.reported = self.reported, self.answered
        return self.answered - reported

    def cut_out(self, first: int, last: int) -> int:
        """Drop a range of tokens, with every picture that it touches; returns the first changed index."""
        first, last = self.layout.widen(first, last)
        self.tokens = self.tokens[:first] + self.tokens[last:]
        self.layout = self.layout.without(first, last)
        self.shifted = True
        return first

    def finish(self, reason: Ended) -> Finish:
        return Finish(
            reason=reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            prompt_ns=self.prompt_ns,
            eval_tokens=self.answered,
            eval_ns=self.last_token_at - self.answering_since if self.answered else 0,
            tokens=self.history,
            encoded=self.encoded,
            truncated=self.truncated,
            stop=self.text.stopped,
            drafted=self.drafted,
            accepted=self.accepted,
        )
