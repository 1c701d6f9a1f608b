"""The bodies of chat completions and completions."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec

from puna.errors import BadRequest
from puna.inference import Think
from puna.server.fields import Fraction, Penalty, Temperature
from puna.server.openai.body import OpenAIRequest, TextOrTokens
from puna.server.openai.parts import (
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
    FunctionDefinition,
    Reasoning,
    ResponseFormat,
    StreamOptions,
)
from puna.server.openai.reasoning import switch, think
from puna.server.openai.tools import ToolChoice, choose, tool

_INT64_MAX = 2**63 - 1
Seed = Annotated[int, msgspec.Meta(ge=-_INT64_MAX - 1, le=_INT64_MAX)]
Limit = Annotated[int, msgspec.Meta(le=2**31 - 1)]

_TOKEN = re.compile(r"[0-9]{1,9}")
_MAX_CHOICES = 128
_MAX_LOGPROBS = 20
_NO_LIMIT = -1
_SWITCHES = ("enable_thinking", "thinking", "reasoning_effort")
"""Variables of chat templates that switch reasoning."""


class _TextRequest(OpenAIRequest, kw_only=True):
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    priority: int | str | None = None
    """vLLM's: lower values are served earlier."""
    service_tier: str | None = None
    """"flex" is served after everybody else."""
    n: int | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    max_tokens: Limit | None = None
    temperature: Temperature | None = None
    top_p: Fraction | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    top_k: Limit | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = None
    """`repeat_penalty`, as vLLM calls it."""
    logit_bias: dict[str, float] | None = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")
    """Ollama's: answer with the prompt's text."""

    @property
    def choices(self) -> int:
        """How many answers. Raises BadRequest."""
        if self.n is None or 1 <= self.n <= _MAX_CHOICES:
            return self.n or 1
        raise BadRequest(f"n must be between 1 and {_MAX_CHOICES}, not {self.n}", "n")

    @property
    def with_usage(self) -> bool:
        """The stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage is True

    def check_stream(self) -> None:
        """Raises BadRequest for `stream_options` without `stream`."""
        if self.stream_options is not None and not self.stream:
            raise BadRequest("stream_options is only allowed when stream is true", "stream_options")

    def bias(self) -> dict[int, float]:
        """Logit biases by token id. Raises BadRequest."""
        for token, bias in (self.logit_bias or {}).items():
            if not _TOKEN.fullmatch(token):
                raise BadRequest(f'logit_bias must be by token id, which "{token}" is not', "logit_bias")
            if not -100 <= bias <= 100:
                raise BadRequest(f"logit_bias must be between -100 and 100, not {bias:g}", "logit_bias")
        return {int(token): bias for token, bias in (self.logit_bias or {}).items()}

    def options(self, choice: int) -> dict[str, Any]:
        """Ollama's options for one of the answers, with its own seed. Raises BadRequest.

        `temperature` and `top_p` default to 1, not to the model's parameters, as in Ollama.
        """
        seed = None if self.seed is None else self.seed + choice
        if seed is not None and seed > _INT64_MAX:
            raise BadRequest(
                f"seed must be an integer up to {_INT64_MAX - choice} for choice {choice}", "seed"
            )
        return {
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repeat_penalty": self.repetition_penalty if self.repeat_penalty is None else self.repeat_penalty,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "seed": -1 if seed is None and choice else seed,
            "num_predict": self._num_predict(),
        }

    def _num_predict(self) -> int | None:
        return _at_least_one("max_tokens", self.max_tokens)


class ChatCompletionRequest(_TextRequest, kw_only=True):
    """The body of /v1/chat/completions (OpenAI, Create chat completion).

    `functions` and `function_call` are the former names of `tools` and `tool_choice`.
    """

    refused: ClassVar[dict[str, str]] = {
        "audio": "audio cannot be generated",
        "moderation": "nothing here moderates",
        "web_search_options": "models here do not search the web",
    }
    names: ClassVar[dict[str, str]] = {
        "bias": "logit_bias",
        "images": "messages",
        "num_predict": "max_completion_tokens",
        "prompt": "messages",
        "schema": "response_format",
        "think": "reasoning_effort",
    }

    messages: list[ChatCompletionMessageParam] | None = None
    max_completion_tokens: Limit | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: Reasoning | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[ChatCompletionToolParam] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[str] | None = None
    ollama_think: Any = msgspec.field(default=None, name="think")
    """Ollama's field for it in its own API."""
    thinking: Any = None
    """DeepSeek's, GLM's and Kimi's: {"type": "disabled"}."""
    enable_thinking: Any = None
    """Qwen's."""
    chat_template_kwargs: dict[str, Any] | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | dict[str, Any] | None = None

    audio: Any = None
    moderation: Any = None
    web_search_options: Any = None

    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema that `response_format` asks for. Raises BadRequest."""
        wanted = self.response_format
        if wanted is None or wanted.type == "text":
            return None
        if wanted.type == "json_object":
            return wanted.schema or {"type": "object"}
        if wanted.type != "json_schema":
            kinds = "text, json_object, json_schema"
            raise BadRequest(
                f'invalid response_format type "{wanted.type}": must be one of {kinds}',
                "response_format.type",
            )
        if wanted.json_schema is None or wanted.json_schema.schema is None:
            missing = "response_format.json_schema.schema"
            raise BadRequest(f"missing required parameter: {missing}", missing, "missing_required_parameter")
        return wanted.json_schema.schema

    def think(self) -> Think:
        """Whether, or how much, the model reasons. Raises BadRequest for an unknown effort."""
        if self.reasoning:
            return think("reasoning.effort", self.reasoning.effort)
        if self.reasoning_effort:
            return think("reasoning_effort", self.reasoning_effort)
        template = self.chat_template_kwargs or {}
        wishes = (self.ollama_think, self.thinking, self.enable_thinking, *map(template.get, _SWITCHES))
        return next((found for found in map(switch, wishes) if found is not None), None)

    @property
    def legacy(self) -> bool:
        """Whether it uses `functions`, the predecessor of `tools`. The answer then has `function_call`."""
        return bool(self.functions) and not self.tools

    def choice(self) -> ToolChoice:
        """The tools and the choice among them. Raises BadRequest."""
        if not self.legacy:
            return choose(
                [_function(index, one) for index, one in enumerate(self.tools or ())], self.tool_choice
            )
        wanted = self.function_call
        return choose(
            [tool(function) for function in self.functions or ()],
            {"type": "function", **wanted} if isinstance(wanted, dict) else wanted,
        )

    def num_logprobs(self) -> int | None:
        """How many top log-probabilities to report for each token; None for no report. Raises BadRequest."""
        if not self.logprobs:
            if self.top_logprobs:
                raise BadRequest("top_logprobs is only allowed when logprobs is true", "top_logprobs")
            return None
        return _check_logprobs("top_logprobs", self.top_logprobs or 0)

    def check_modalities(self) -> None:
        """Raises BadRequest for any output but text."""
        for modality in self.modalities or ():
            if modality != "text":
                raise BadRequest(f'invalid modality "{modality}": models here answer with text', "modalities")

    def _num_predict(self) -> int | None:
        if self.max_completion_tokens is not None:
            return _at_least_one("max_completion_tokens", self.max_completion_tokens)
        return super()._num_predict()


class CompletionRequest(_TextRequest, kw_only=True):
    """The body of /v1/completions; `prompt` is texts or token ids (OpenAI, Create completion)."""

    names: ClassVar[dict[str, str]] = {"bias": "logit_bias", "context": "prompt"}

    prompt: TextOrTokens | None = None
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = None
    best_of: int | None = None

    def num_logprobs(self) -> int | None:
        """How many top log-probabilities to report for each token; None for no report. Raises BadRequest."""
        if self.logprobs is None:
            return None
        return _check_logprobs("logprobs", self.logprobs)

    @property
    def reports_prompt(self) -> bool:
        """Whether the answer has the prompt's log-probabilities, too."""
        return self.echo is True and self.logprobs is not None

    @property
    def silent(self) -> bool:
        """Whether the prompt is only evaluated, and the answer is empty."""
        return self.max_tokens == 0

    def check_suffix(self) -> None:
        """Raises BadRequest for echoed log-probabilities together with a suffix."""
        if self.suffix and self.reports_prompt:
            raise BadRequest("suffix and echo with logprobs exclude each other", "suffix")

    def _num_predict(self) -> int | None:
        return None if self.silent else super()._num_predict()

    def check_best_of(self) -> None:
        """Raises BadRequest when best_of differs from n."""
        if self.best_of is not None and self.best_of != self.choices:
            raise BadRequest("best_of is not supported unless it equals n", "best_of")


def _function(index: int, given: ChatCompletionToolParam) -> dict[str, Any]:
    if given.type != "function":
        message = f'invalid tool type "{given.type}": only functions are supported'
        raise BadRequest(message, f"tools[{index}].type")
    if given.function:
        return tool(given.function)
    if given.name is None:
        raise BadRequest("a tool needs a function", f"tools[{index}].function", "missing_required_parameter")
    return tool(FunctionDefinition(given.name, given.description, given.parameters))


def _at_least_one(param: str, limit: int | None) -> int | None:
    if limit is None or limit >= 1 or limit == _NO_LIMIT:
        return limit
    raise BadRequest(f"{param} must be at least 1, or -1 for no limit, not {limit}", param)


def _check_logprobs(param: str, count: int) -> int:
    if 0 <= count <= _MAX_LOGPROBS:
        return count
    raise BadRequest(f"{param} must be between 0 and {_MAX_LOGPROBS}, not {count}", param)
