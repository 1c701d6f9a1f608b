"""The tools of a request, as answers are read with them."""

from __future__ import annotations

from typing import Any

from .typed import parameter, parameters, typed


class Tools:
    """What parsing asks of the tools in a request: their names and their parameters."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        functions = [tool["function"] for tool in tools if isinstance(tool.get("function"), dict)]
        self._schemas = {
            function["name"]: parameters if isinstance(parameters := function.get("parameters"), dict) else {}
            for function in functions
            if isinstance(function.get("name"), str) and function["name"]
        }
        self.names = tuple(self._schemas)

    def required(self, tool: str) -> set[str]:
        required = self._schemas.get(tool, {}).get("required")
        return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()

    def parameters(self, tool: str) -> tuple[str, ...]:
        """The names of a tool's parameters."""
        schema = self._schemas.get(tool, {})
        return tuple(dict.fromkeys(parameters(schema, schema)))

    def typed(self, tool: str, name: str, text: str) -> Any:
        """The value that `text` is for a tool's parameter. An unknown one is text (Ollama
        model/parsers/qwen3coder.go, parseTypedToolValue)."""
        root = self._schemas.get(tool, {})
        schema = parameter(root, name, root)
        return text if schema is None else typed(schema, root, text)
