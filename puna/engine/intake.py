"""Turns a job into a sequence: tokenizes the prompt, truncates it to the context, and prepares sampling."""

from __future__ import annotations

from puna.engine import budget
from puna.engine.drafts import LONGEST, Drafter
from puna.engine.grammar import Grammars, Matcher
from puna.engine.libllama import LlamaModel, Sampler
from puna.engine.logprobs import Bias
from puna.engine.media import TEXT, EncoderCache, Layout, Medium
from puna.engine.messages import Generate
from puna.engine.sequence import Sequence
from puna.engine.text import TextStream
from puna.errors import BadRequest, PromptTooLong
from puna.types import Grammar, Image, Job, Sound, TokenLogprob


class Intake:
    """Makes sequences for one model."""

    def __init__(
        self,
        model: LlamaModel,
        encoder_cache: EncoderCache | None,
        *,
        num_ctx: int,
        batch_invariant: bool = False,
    ) -> None:
        """`num_ctx`: the longest sequence, in tokens.

        `batch_invariant`: a sequence's logits have the same bits in any batch.
        """
        self._model = model
        self._encoder_cache = encoder_cache
        self._grammars = Grammars(model)
        self._num_ctx = num_ctx
        self._batch_invariant = batch_invariant

    def tokenize(self, text: str, *, add_bos: bool) -> list[int]:
        """Token ids of `text`. With `add_bos`, the BOS token comes first if the model uses one."""
        tokens = self._model.tokenize(text, add_special=False)
        return [self._model.bos, *tokens] if add_bos and self._lacks_bos(tokens) else tokens

    def measure(self, medium: Image | Sound) -> int:
        """Tokens of a picture or a sound, whose data may be missing. Raises BadRequest."""
        return self._encoder().measure(medium)

    def sequence(self, command: Generate) -> Sequence:
        """The sequence for a command. Raises BadRequest."""
        job = command.job
        num_ctx = max(min(job.options.num_ctx or self._num_ctx, self._num_ctx), 4)
        tokens, layout, media = self._prompt(job, num_ctx)
        text_tokens = layout.text_tokens(tokens)
        if not tokens:
            tokens = text_tokens = [max(self._model.bos, 0)]
        has_bos = self._model.adds_bos and tokens[0] == self._model.bos
        first, last = budget.surplus(len(tokens), job, num_ctx=num_ctx, has_bos=has_bos)
        if layout.overlaps(first, last):
            problem = f"{budget.TOO_LONG}: the images or sounds do not fit in {num_ctx} tokens"
            raise PromptTooLong(problem, len(tokens), num_ctx - 1)
        if last:
            tokens, layout = tokens[:first] + tokens[last:], layout.without(first, last)
            text_tokens = layout.text_tokens(tokens)
        matcher = self._matcher(job.grammar) if job.grammar is not None else None
        bias = Bias(job.bias, self._model.n_vocab) if job.bias else None
        sampler = Sampler(self._model, job.options, context=num_ctx)
        for token in text_tokens[-num_ctx:]:
            sampler.accept(token)
        return Sequence(
            request=command.request,
            job=job,
            tokens=list(tokens),
            prompt_tokens=len(tokens),
            num_ctx=num_ctx,
            has_bos=has_bos,
            sampler=sampler,
            matcher=matcher,
            text=TextStream(job.options.stop),
            visible=self._visible(job.visible),
            bias=bias,
            drafter=self._drafter(job, text_tokens),
            layout=layout,
            media=media,
            prompt_logprobs=[self._first_logprob(job, tokens[0])] if job.echo else [],
            history=text_tokens,
            truncated=last > 0,
        )

    def _first_logprob(self, job: Job, token: int) -> TokenLogprob:
        """The report of a prompt's first token. An added BOS token has no bytes."""
        piece = self._model.spell(token)
        text = piece.decode("utf-8", "replace")
        in_prompt = not isinstance(job.prompt, str) or job.prompt.startswith(text)
        return TokenLogprob(text, 0.0, list(piece) if in_prompt else [])

    def _prompt(self, job: Job, num_ctx: int) -> tuple[list[int], Layout, tuple[Medium, ...]]:
        prompt = job.prompt
        if not isinstance(prompt, str):
            self._model.check(prompt, "context")
        if not job.media:
            if isinstance(prompt, str):
                text = budget.cut_middle(prompt, job, num_ctx=num_ctx)
                tokens = self.tokenize(text, add_bos=job.add_bos)
                budget.check_cut(prompt, text, len(tokens), job, num_ctx=num_ctx)
                return tokens, TEXT, ()
            return prompt, TEXT, ()
        encoder_cache = self._encoder()
        media = encoder_cache.decode(job.media)
        if not isinstance(prompt, str):
            # An earlier answer's context and a new picture: markers are found in text only.
            prompt = self._model.detokenize(prompt)
        tokens, layout = encoder_cache.tokenize(prompt, media, job.owner)
        if job.add_bos and self._lacks_bos(tokens):
            tokens, layout = [self._model.bos, *tokens], layout.offset_by(1)
        return tokens, layout, media

    def _encoder(self) -> EncoderCache:
        if self._encoder_cache is None:
            raise BadRequest("this model is missing data required for image and audio input", "images")
        return self._encoder_cache

    def _lacks_bos(self, tokens: list[int]) -> bool:
        return self._model.adds_bos and tokens[:1] != [self._model.bos]

    def _matcher(self, grammar: Grammar) -> Matcher | None:
        try:
            return self._grammars.matcher(grammar)
        except BadRequest:
            if grammar.strict:
                raise
            return None

    def _visible(self, texts: tuple[str, ...]) -> dict[int, bytes]:
        """Those `texts` that are control tokens of this vocabulary."""
        tokens = ((self._model.tokenize(text, add_special=False), text) for text in texts)
        return {
            ids[0]: text.encode() for ids, text in tokens if len(ids) == 1 and not self._model.piece(ids[0])
        }

    def _drafter(self, job: Job, text_tokens: list[int]) -> Drafter | None:
        """The answer's drafter; None if drafts are off.

        A seed promises the same text again. Where a batch's shape changes the rounding, a request with a
        seed gets drafts only on request.
        """
        most = job.options.draft_num_predict
        if most is None:
            seeded = job.options.seed >= 0 and job.options.temperature > 0
            most = 0 if seeded and not self._batch_invariant else LONGEST
        return Drafter(text_tokens, most=most) if most > 0 else None
