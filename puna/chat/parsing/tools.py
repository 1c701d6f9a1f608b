"""The tools of a request, for parsing."""

from __future__ import annotations

from typing import Any

from puna.chat.schema import SchemaDocument, parameter, parameters

from .typed import typed_value


class Tools:
    """The names and parameters of a request's tools."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        functions = [tool["function"] for tool in tools if isinstance(tool.get("function"), dict)]
        self._given = {
            function["name"]: function.get("parameters")
            for function in functions
            if isinstance(function.get("name"), str) and function["name"]
        }
        self._read: dict[str, SchemaDocument] = {}
        self.names = tuple(self._given)

    def required(self, tool: str) -> set[str]:
        root = self.schema(tool).root
        return set(root.get("required", ()))

    def parameters(self, tool: str) -> tuple[str, ...]:
        """The names of a tool's parameters."""
        schema = self.schema(tool)
        return tuple(dict.fromkeys(parameters(schema.root, schema.targets)))

    def typed_value(self, tool: str, name: str, text: str) -> Any:
        """`text` as a value of a tool's parameter. An unknown parameter's value is text (Ollama
        model/parsers/qwen3coder.go, parseTypedToolValue)."""
        schema = self.schema(tool)
        found = parameter(schema.root, name, schema.targets)
        return text if found is None else typed_value(found, schema.targets, text)

    def schema(self, tool: str) -> SchemaDocument:
        """The schema of a tool's arguments; an unknown tool's is empty."""
        if tool not in self._read:
            given = self._given.get(tool)
            self._read[tool] = SchemaDocument(given if isinstance(given, dict) else {}, lenient=True)
        return self._read[tool]
