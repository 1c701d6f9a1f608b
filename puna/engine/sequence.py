"""One request on the batch loop: its tokens, how far they are evaluated, and what ends it."""

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
    """Waiting (no slot), prefilling (evaluated < len(tokens) - 1 or fresh), or decoding."""

    request: int
    job: Job
    tokens: list[int]
    """Prompt and answer so far; after a shift, only the part still in the context. A picture has one id for
    each of its rows, beyond the vocabulary."""
    prompt_tokens: int
    num_ctx: int
    begins: bool
    """The prompt begins with the model's begin token, which num_keep does not count."""
    sampler: Sampler
    matcher: Matcher | None
    text: TextStream
    visible: dict[int, bytes] = field(default_factory=dict)
    """Control tokens that are written out, with their text."""
    bias: Bias | None = None
    drafter: Drafter | None = None
    """None if drafts are off."""
    drafted: int = 0
    """Drafted tokens that were evaluated."""
    accepted: int = 0
    """Drafted tokens that were accepted."""
    layout: Layout = TEXT
    """Where in `tokens` pictures are."""
    media: tuple[Medium, ...] = ()
    """Its pictures and sounds, as the encoder takes them."""
    key: int = -1
    """Its name in the prefix cache while it runs."""
    held: SequenceMemory = field(default_factory=SequenceMemory)
    """What memory holds of it."""
    stops: set[int] = field(default_factory=set)
    """Lengths at which its evaluation pauses for a snapshot."""
    cached_tokens: int = 0
    """Tokens of the prompt that the prefix cache had."""
    shared: int = 0
    """Leading tokens whose cells are shared with another sequence."""
    truncated: bool = False
    """The middle of the prompt was cut out."""
    encoded: int = 0
    """Pictures that the encoder ran for."""
    waits_since: int = 0
    """Since when it waits for the encoder, in ns; 0 if it does not."""
    prompt_ns: int = 0
    read: list[TokenLogprob] = field(default_factory=list)
    """Of a prompt whose tokens are reported: the first, and those whose places are evaluated."""
    announced: bool = False
    """The prompt's length was reported."""
    preempted: bool = False
    """It was preempted once, and is not again."""
    answered: int = 0
    reported: int = 0
    """Tokens of the answer reported so far."""
    repeated: bytes = b""
    """The last token's text without white space around it."""
    repeats: int = 0
    """Consecutive tokens of the same text."""
    answering_since: int = 0
    """When the prompt's evaluation ended."""
    last_token_at: int = 0
    history: list[int] = field(default_factory=list)
    """Prompt and answer in full, with shifted-out tokens, without pictures."""
    shifted: bool = False
    """Part of the prompt or the answer is no longer in `tokens`."""
    prompt_logits: NDArray[np.float32] | None = None

    @property
    def slot(self) -> int:
        return self.held.slot

    @property
    def evaluated(self) -> int:
        """Tokens that are in memory, from the first on."""
        return self.held.length

    @property
    def pending(self) -> int:
        """Tokens that wait for evaluation; exactly 1 while decoding."""
        return len(self.tokens) - self.evaluated

    @property
    def ready(self) -> int:
        """Tokens of text that wait for evaluation, up to the next picture or stop."""
        end = self.layout.text_end(self.evaluated, len(self.tokens))
        return min((stop for stop in self.stops if self.evaluated < stop < end), default=end) - self.evaluated

    @property
    def scoring(self) -> bool:
        """Tokens of the prompt are still to be reported, with their probabilities."""
        return self.job.echo and not self.announced

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

    @property
    def free(self) -> bool:
        """The next token is drawn from the model's own logits."""
        return self.bias is None and not self.job.silent

    def draw(self, logits: NDArray[np.float32]) -> int:
        """Draw the next token. If the grammar refuses it, draw from the allowed ones: checking one token
        is cheaper than computing the mask."""
        if self.bias is not None:
            logits = self.bias.added(logits)
        token = self.sampler.sample(logits)
        if self.matcher is not None and not self.matcher.allows(token):
            logits = logits.copy()
            self.matcher.constrain(logits)
            token = self.sampler.sample(logits)
            if logits[token] == -np.inf:
                # Extreme options can lose every candidate the grammar left.
                token = int(logits.argmax())
            self.matcher.accept(token)
        self.sampler.accept(token)
        return token

    def take(self, token: int) -> None:
        """Append a sampled token."""
        self.last_token_at = time.perf_counter_ns()
        self.answered += 1
        self.tokens.append(token)
        self.history.append(token)
        if self.drafter is not None:
            self.drafter.take(token)

    def draft(self, most: int, shared: TokenText) -> tuple[list[int], list[float]]:
        """At most `most` likely next tokens, and the probability that all are right, up to each.

        `shared`: texts that may be repeated besides the sequence itself.
        """
        room = self.room(most)
        if self.drafter is None or not room:
            return [], []
        forced = self.matcher.forced() if self.matcher is not None else []
        return self.drafter.draft(room, forced=forced, shared=shared)

    def room(self, most: int) -> int:
        """How many tokens, at most `most`, the answer may have after the next one."""
        return max(0, min(most, self.limit - self.answered - 1, self.num_ctx - len(self.tokens) - 1))

    @property
    def follows(self) -> bool:
        """Whether an MTP layer follows its evaluation: it sees no pictures."""
        return self.drafter is not None and not self.layout.spans

    def evaluated_rows(self, first: int, size: int, draft: list[int]) -> EvaluatedRows:
        """What a batch evaluated of it, from its row `first` on: `size` tokens and a draft."""
        start = self.evaluated
        return EvaluatedRows(self.request, self.job.owner, self.tokens, start, start + size, draft, first)

    def proposal_request(self, most: int, least: float) -> ProposalRequest:
        """The request to the model that drafts, which sees no pictures."""
        return ProposalRequest(self.request, self.layout.words(self.tokens), most, least, self.job.owner)

    def weigh(self, proposal: Proposal) -> list[float]:
        """Consider the draft model's tokens; the probability that all are right, up to each."""
        assert self.drafter is not None
        return self.drafter.confidence.weigh(proposal.tokens, proposal.probabilities)

    def piece(self, token: int, plain: bytes) -> str:
        """The text that is complete after `token`, whose bytes are `plain`."""
        return self.text.feed(self.visible.get(token, plain))

    def stuck(self, plain: bytes) -> bool:
        """Whether the answer only repeats its last token, whose bytes are `plain`."""
        text = plain.strip()
        self.repeats = self.repeats + 1 if text == self.repeated and self.answered > 1 else 0
        self.repeated = text
        return self.repeats > _MOST_REPEATS

    def newly_reported(self) -> int:
        """Tokens of the answer since the last call."""
        reported, self.reported = self.reported, self.answered
        return self.answered - reported

    def cut_out(self, first: int, last: int) -> int:
        """Drop a range of tokens, with every picture that it touches; returns the first changed index."""
        first, last = self.layout.widened(first, last)
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
