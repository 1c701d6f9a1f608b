"""An Anthropic request converted to inference's input."""

from __future__ import annotations

from typing import Any

from puna.errors import BadRequest
from puna.inference import ChatInput, Think, ToolMode
from puna.server.anthropic.conversation import conversation
from puna.server.anthropic.requests import CountTokensRequest, MessagesRequest, ToolChoiceParam, check
from puna.server.anthropic.tools import ToolOffer
from puna.server.remote import Remote

_MODES: dict[str, ToolMode] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


async def chat_input(body: CountTokensRequest, tools: ToolOffer, remote: Remote) -> ChatInput:
    """`body` as inference's input. Raises BadRequest."""
    check(body)
    choice = body.tool_choice or ToolChoiceParam(type="auto")
    config = body.output_config
    format = (config and config.format) or body.output_format
    return ChatInput(
        model=body.model,
        messages=await conversation(body, tools.missing, remote),
        tools=tools.functions,
        tool_choice=_MODES[choice.type],
        tool_name=_tool_name(choice, tools),
        parallel_calls=not choice.disable_parallel_tool_use,
        schema=format.schema if format else None,
        think=_think(body),
        think_if_able=True,
        options=_options(body) if isinstance(body, MessagesRequest) else {},
        # Agents shorten a conversation themselves on an error.
        truncate=False,
        shift=False,
    )


def _tool_name(choice: ToolChoiceParam, tools: ToolOffer) -> str:
    """The one tool to call."""
    if choice.name in tools.missing:
        raise BadRequest(f'tool_choice: "{choice.name}" is a tool of Anthropic\'s servers, and not here')
    if choice.type in ("any", "tool") and not tools.functions:
        raise BadRequest("tool_choice: there are no tools to choose from")
    if choice.type != "tool":
        return ""
    if choice.name not in [tool["function"]["name"] for tool in tools.functions]:
        raise BadRequest(f'tool_choice: there is no tool "{choice.name}"')
    return choice.name or ""


def _think(body: CountTokensRequest) -> Think:
    """Thinking is off unless requested, as in Anthropic's API."""
    if body.thinking is None or body.thinking.type == "disabled":
        return False
    effort = body.output_config and body.output_config.effort
    return "high" if effort == "xhigh" else effort or True


def _options(body: MessagesRequest) -> dict[str, Any]:
    return {
        "num_predict": max(body.max_tokens, 1),
        "stop": body.stop_sequences or None,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
    }
