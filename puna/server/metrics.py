"""GET /metrics, in Prometheus' text format.

A request updates a few counters when it ends; a token costs nothing. The queue and the loaded models are read
when the metrics are scraped.
"""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.access import caller
from puna.errors import LoadFailed
from puna.inference import Observer, Summary
from puna.load import LoadSpec
from puna.scheduling import Scheduler
from puna.server.paths import Path, paths
from puna.types import Engine

_PATH = "/metrics"
_METHODS = ("GET", "HEAD", "POST", "DELETE")
_OTHER = "other"
"""The label of unknown paths and rare methods, because clients must not be able to create labels."""

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_RATES = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 1000)

# `_created` series are not needed and double the text.
disable_created_metrics()


class Metrics(Observer):
    """The metrics of one application, in its own registry. Durations in seconds, sizes in bytes."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        gauge, histogram = partial(Gauge, registry=registry), partial(Histogram, registry=registry)
        by_model = ["model"]
        self.requests = counter("puna_http_requests", "Requests answered.", ["method", "path", "status"])
        self.by_key = counter("puna_key_requests", "Requests answered, by key.", ["key", "status"])
        self._key_tokens = counter("puna_key_tokens", "Tokens of prompts and answers, by key.", ["key"])
        self.running = gauge("puna_http_requests_running", "Requests being answered.")
        waiting = "Requests that wait for a model, or for a place in one that is loaded."
        self._waiting = gauge("puna_requests_waiting", waiting)
        first = "From a request to the first token of its answer, loading and waiting included."
        self._first = histogram("puna_time_to_first_token_seconds", first, by_model, buckets=_SECONDS)
        rate = "Tokens generated a second, by answer."
        self._rate = histogram("puna_answer_tokens_per_second", rate, by_model, buckets=_RATES)
        self._answers = counter("puna_answers", "Answers ended.", ["model", "reason"])
        self._prompt = counter("puna_prompt_tokens", "Tokens of prompts, cached ones included.", by_model)
        cached = "Tokens of prompts that were found in the KV cache."
        self._cached = counter("puna_cached_prompt_tokens", cached, by_model)
        drafted = "Tokens of answers that were guessed and evaluated together."
        self._drafted = counter("puna_drafted_tokens", drafted, by_model)
        self._accepted = counter("puna_accepted_draft_tokens", "The part of them that came.", by_model)
        self._answer = counter("puna_answer_tokens", "Tokens generated.", by_model)
        self._embedded = counter("puna_embedded_tokens", "Tokens turned into vectors or ranked.", by_model)
        self._loads = histogram("puna_model_load_seconds", "Loading a model.", buckets=_SECONDS)
        self._failures = counter("puna_model_load_failures", "Models that could not be loaded.")
        ProcessCollector(registry=registry)

    def watch(self, scheduler: Scheduler) -> None:
        """Export the queue and the loaded models of `scheduler`, too."""
        self._waiting.set_function(lambda: scheduler.waiting)
        self.registry.register(_Models(scheduler))

    def measure_loads(
        self, start: Callable[[LoadSpec], Awaitable[Engine]]
    ) -> Callable[[LoadSpec], Awaitable[Engine]]:
        """Wraps `start`: observes the duration of loads and counts failures."""

        async def measured(spec: LoadSpec) -> Engine:
            began = perf_counter()
            try:
                engine = await start(spec)
            except LoadFailed:
                self._failures.inc()
                raise
            self._loads.observe(perf_counter() - began)
            return engine

        return measured

    def answered(self, model: str, summary: Summary, first_ns: int) -> None:
        self._answers.labels(model, summary.reason).inc()
        self._prompt.labels(model).inc(summary.prompt_tokens)
        self._cached.labels(model).inc(summary.cached_tokens)
        self._answer.labels(model).inc(summary.eval_tokens)
        self._drafted.labels(model).inc(summary.drafted)
        self._accepted.labels(model).inc(summary.accepted)
        self._count_key_tokens(summary.prompt_tokens + summary.eval_tokens)
        if first_ns:
            self._first.labels(model).observe(first_ns / 1e9)
        if summary.eval_ns:
            self._rate.labels(model).observe(summary.eval_tokens * 1e9 / summary.eval_ns)

    def embedded(self, model: str, tokens: int) -> None:
        self._embedded.labels(model).inc(tokens)
        self._count_key_tokens(tokens)

    def _count_key_tokens(self, tokens: int) -> None:
        if name := caller().name:
            self._key_tokens.labels(name).inc(tokens)


class _Models(Collector):
    """The loaded models, and how many engines have failed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def describe(self) -> Iterator[Metric]:
        """Empty, so that registering does not call `collect`."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        loaded = self._scheduler.loaded_models()
        yield GaugeMetricFamily("puna_models_loaded", "Models in memory.", value=len(loaded))
        died = self._scheduler.died
        yield CounterMetricFamily("puna_engine_failures", "Engines that died or hung.", value=died)
        # After a model is recreated, its old version may still be loaded under the same name.
        memory, accelerator, engines = Sums[str](), Sums[str](), Sums[str]()
        for entry in loaded:
            memory[entry.model.name.display()] += entry.size
            accelerator[entry.model.name.display()] += entry.size_vram
            engines[entry.model.name.display()] += entry.replicas
        yield _by_model("puna_model_memory_bytes", "Memory that a loaded model takes.", memory)
        yield _by_model("puna_model_vram_bytes", "The part of it that is on accelerators.", accelerator)
        yield _by_model("puna_model_engines", "Engines of a loaded model: its replicas.", engines)


def _by_model(name: str, documentation: str, values: Sums[str]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["model"])
    for model, value in values.items():
        family.add_metric([model], value)
    return family


class CountRequests:
    """ASGI middleware: counts requests, except those for /metrics. RequestLog sets `scope["status"]`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._paths: list[Path] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _PATH:
            await self._app(scope, receive, send)
            return
        # Read first, because mounts change the scope.
        path, method = self._template(scope), scope["method"]
        metrics = self._metrics
        metrics.running.inc()
        try:
            await self._app(scope, receive, send)
        finally:
            metrics.running.dec()
            status = scope["status"]
            method = method if method in _METHODS else _OTHER
            metrics.requests.labels(method, path, status).inc()
            if key := scope.get("caller"):
                metrics.by_key.labels(key, status).inc()

    def _template(self, scope: Scope) -> str:
        if not self._paths:
            app = scope["app"]
            assert isinstance(app, Starlette)
            self._paths = list(paths(app.routes))
        return next((path.template for path in self._paths if path.pattern.match(scope["path"])), _OTHER)


async def metrics(request: Request) -> Response:
    """Prometheus' text, or OpenMetrics if the scraper's `accept` asks for it."""
    measures = request.app.state.metrics
    assert isinstance(measures, Metrics)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(measures.registry), headers={"content-type": content_type})


routes = [Route(_PATH, metrics)]
