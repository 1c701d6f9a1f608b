"""`puna serve`."""

from __future__ import annotations

ENVIRONMENT = """\b
Environment variables:
  OLLAMA_HOST               Address and port to listen on (default 127.0.0.1:11434)
  OLLAMA_MODELS             Folder of the models (default ~/.ollama/models)
  OLLAMA_KEEP_ALIVE         How long a model stays in memory after its last use (default 5m)
  OLLAMA_CONTEXT_LENGTH     Context length in tokens unless a request names one (default 4096)
  OLLAMA_NUM_PARALLEL       Most requests a model works on at once (default: chosen by Puna)
  OLLAMA_MAX_LOADED_MODELS  Most models in memory at once (default: as many as fit)
  OLLAMA_MAX_QUEUE          Most requests that wait for a model (default 512)
  OLLAMA_LOAD_TIMEOUT       How long a load may take before it is given up (default 5m)
  OLLAMA_ORIGINS            More web origins that may call the API, separated by commas
  OLLAMA_NOPRUNE            Keep blobs that no model uses
  OLLAMA_DEBUG              Say more in the log
  PUNA_MEMORY               Bytes that models may take together (default: what is free)"""


def serve() -> None:
    """Start the server."""
    # The only import of the server's code by the command line.
    from puna.server import serve as serve_http
    from puna.settings import Settings

    serve_http(Settings.from_environment())
