"""Puna runs large language models on your own machine and serves them over the Ollama API."""

__version__ = "0.1.0"
