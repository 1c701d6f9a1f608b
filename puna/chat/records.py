"""Messages and tools as values of Go templates (Ollama template/template.go and api/types.go)."""

from __future__ import annotations

from typing import Any

from puna.types import Message

from .earlier import call_arguments
from .gotemplate import Absent, Printed, Struct, json_text
from .schema import inlined


class JsonMap(Printed, dict[str, Any]):
    """A map that prints as JSON, for a call's arguments and a tool's properties."""

    def __str__(self) -> str:
        return json_text(self)


class AbsentMap(JsonMap):
    """A nil map: it prints as an empty one, and is `null` in JSON."""

    def __str__(self) -> str:
        return "{}"

    @property
    def wire(self) -> None:
        return None


class JsonList(Printed, list[Any]):
    """A slice that prints as JSON: all tools."""

    def __str__(self) -> str:
        return json_text(self)


class AbsentList(JsonList, Absent):
    """A nil slice."""


class Object(Struct):
    """A JSON object whose keys keep their order."""


class Property(Struct):
    """api.ToolProperty; `given` is its JSON Schema."""

    go_type = "api.ToolProperty"
    methods = {"ToTypeScriptType": lambda self: self.type_script()}  # noqa: RUF012

    def __init__(self, given: dict[str, Any]) -> None:
        schema = _as_object(given)
        inner = {name: Property(each) for name, each in _as_object(schema.get("properties")).items()}
        super().__init__(
            AnyOf=[Property(each) for each in schema.get("anyOf") or []],
            Type=Types(schema.get("type")),
            Items=as_go(schema.get("items")),
            Description=schema.get("description") or "",
            Enum=as_go(schema["enum"]) if isinstance(schema.get("enum"), list) else Absent(),
            Properties=Object(inner) if "properties" in schema else None,
            Required=_slice(schema.get("required")),
        )

    @property
    def wire(self) -> dict[str, Any]:
        return {
            name[:1].lower() + name[1:]: value
            for name, value in self.items()
            if value is not None and (name == "Items" or value not in ("", []))
        }

    def type_script(self) -> str:
        """The type in TypeScript."""
        if self["AnyOf"]:
            return " | ".join(each.type_script() for each in self["AnyOf"])
        return " | ".join(_TYPE_SCRIPT.get(kind, "any") for kind in self["Type"]) or "any"


class Types(Printed, list[str]):
    """A property's type: one name, or several."""

    def __init__(self, given: Any) -> None:
        super().__init__([given] if isinstance(given, str) else _slice(given))
        self._given = given

    def __str__(self) -> str:
        return self[0] if len(self) == 1 else f"[{' '.join(self)}]" if self else ""

    @property
    def wire(self) -> Any:
        return self[0] if len(self) == 1 else None if self._given is None else list(self)


_TYPE_SCRIPT = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


class _Json(Printed, Struct):
    """A struct that prints as JSON under `wire_names`; `omitted` fields print only when set."""

    wire_names: dict[str, str]
    omitted: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return json_text(self)

    @property
    def wire(self) -> dict[str, Any]:
        return {
            wire_name: self[name]
            for name, wire_name in self.wire_names.items()
            if name not in self.omitted or (self[name] is not None and (name != "Required" or self[name]))
        }


class ToolRecord(_Json):
    """A tool."""

    go_type = "template.templateTool"
    wire_names = {"Type": "type", "Items": "items", "Function": "function"}  # noqa: RUF012
    omitted = frozenset(["Items"])

    def __init__(self, given: dict[str, Any]) -> None:
        function = FunctionRecord(_as_object(given.get("function")))
        super().__init__(Type=given.get("type") or "", Items=as_go(given.get("items")), Function=function)


class FunctionRecord(_Json):
    """A tool's name and description."""

    go_type = "template.templateToolFunction"
    wire_names = {"Name": "name", "Description": "description", "Parameters": "parameters"}  # noqa: RUF012

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(
            Name=given.get("name") or "",
            Description=given.get("description") or "",
            Parameters=Parameters(inlined(_as_object(given.get("parameters")))),
        )


class Parameters(_Json):
    """A tool's parameters."""

    go_type = "template.templateToolFunctionParameters"
    wire_names = {  # noqa: RUF012
        "Type": "type",
        "Defs": "$defs",
        "Items": "items",
        "Required": "required",
        "Properties": "properties",
    }
    omitted = frozenset(["Defs", "Items", "Required"])

    def __init__(self, given: dict[str, Any]) -> None:
        properties = given.get("properties")
        super().__init__(
            Type=given.get("type") or "",
            Defs=as_go(given.get("$defs")),
            Items=as_go(given.get("items")),
            Required=_slice(given.get("required")),
            Properties=JsonMap({name: Property(each) for name, each in _as_object(properties).items()})
            if properties is not None
            else AbsentMap(),
        )


class TurnRecord(Struct):
    """A message; `content` is the text of all merged messages."""

    go_type = "*template.templateMessage"

    def __init__(self, message: Message, content: str) -> None:
        super().__init__(
            Role=message.role,
            Content=content,
            Thinking=message.thinking,
            Images=[file.data for file in message.images] or Absent(),
            ToolCalls=[_call(given) for given in message.tool_calls] or Absent(),
            ToolName=message.tool_name,
            ToolCallID=message.tool_call_id,
        )


class ToolCallRecord(Struct):
    """A call the model made."""

    go_type = "template.templateToolCall"


class CalledFunction(Struct):
    """A function's name and arguments."""

    go_type = "template.templateToolCallFunction"


def _call(call: dict[str, Any]) -> ToolCallRecord:
    function = _as_object(call.get("function"))
    given = function.get("arguments")
    return ToolCallRecord(
        ID=call.get("id") or "",
        Function=CalledFunction(
            Index=index if isinstance(index := function.get("index"), int) else 0,
            Name=function.get("name") or "",
            Arguments=JsonMap(as_go(call_arguments(given))) if given is not None else AbsentMap(),
        ),
    )


def as_go(value: Any) -> Any:
    """A JSON value as Go decodes it, with every number a float64."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [as_go(item) for item in value]
    if isinstance(value, dict):
        return {str(key): as_go(item) for key, item in value.items()}
    return value


def _slice(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else Absent()


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
