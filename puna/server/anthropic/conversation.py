"""Anthropic's messages converted to inference's: blocks become text, images, reasoning, calls and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from puna.chat import call_arguments
from puna.errors import BadRequest
from puna.server.anthropic.requests import Block, CountTokensRequest, Source
from puna.server.content import Url, assemble, escape_markers, picture
from puna.server.remote import Remote
from puna.types import MediaFile, Message

_BILLING_HEADER = "x-anthropic-billing-header:"
"""Prefix of a system block of Claude Code that changes with each request. The block is dropped, because it
would defeat the prefix cache."""

Parts = list[str | MediaFile | Url]


async def conversation(body: CountTokensRequest, missing: Sequence[str], remote: Remote) -> list[Message]:
    """The system prompt and the messages, tool results as separate messages.

    The system prompt names the `missing` tools, so that the model does not invent their results.
    Raises BadRequest for an invalid or unsupported field.
    """
    system = [_system(_blocks(body.system or ""), "system")]
    system += [f"The tool {name} is not available." for name in missing]
    messages: list[Message] = []
    names: dict[str, str] = {}
    for number, turn in enumerate(body.messages):
        field, blocks = f"messages[{number}].content", _blocks(turn.content)
        role = turn.role.lower()  # Any role: templates decide which they know, as in Ollama.
        if role == "system":
            text = _system(blocks, field)
            if not messages:
                system.append(text)
            elif text:
                messages.append(Message(role="system", content=text))
        elif role == "assistant":
            answers = _assistant(blocks, field)
            calls = [call for answer in answers for call in answer.tool_calls]
            names |= {call["id"]: call["function"]["name"] for call in calls}
            messages += answers
        else:
            messages += await _other_turn(role, blocks, field, names, remote)
    first = "\n\n".join(filter(None, system))
    return [Message(role="system", content=first), *messages] if first else messages


def _blocks(content: str | list[Block]) -> list[Block]:
    return [Block(type="text", text=content)] if isinstance(content, str) else content


def _system(blocks: list[Block], field: str) -> str:
    texts: list[str] = []
    for number, block in enumerate(blocks):
        if block.type != "text":
            raise _unsupported(block, f"{field}[{number}]")
        texts.append(escape_markers(block.text or ""))
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING_HEADER))


def _assistant(blocks: list[Block], field: str) -> list[Message]:
    """The assistant's turn: several messages if it contains results of server-side tools."""
    messages = [Message(role="assistant")]
    for number, block in enumerate(blocks):
        where = f"{field}[{number}]"
        if block.type.endswith("_tool_result"):
            messages.append(_server_tool_result(block, where))
            continue
        if messages[-1].role == "tool":
            messages.append(Message(role="assistant"))
        message = messages[-1]
        if block.type in ("text", "compaction"):
            text = block.text if block.type == "text" else block.content
            message.content += escape_markers(text) if isinstance(text, str) else ""
        elif block.type == "thinking":
            message.thinking += block.thinking or ""
        elif block.type in ("tool_use", "server_tool_use", "mcp_tool_use"):
            message.tool_calls.append(_call(block, len(message.tool_calls), where))
        elif block.type not in ("redacted_thinking", "fallback"):
            raise _unsupported(block, where)
    return messages


def _server_tool_result(block: Block, field: str) -> Message:
    """The result of a server-side tool."""
    if not block.tool_use_id:
        raise BadRequest(f"{field}: a {block.type} block needs a tool_use_id")
    if isinstance(block.content, dict):
        text = msgspec.json.encode(block.content).decode()
    else:
        inner = _blocks(block.content or "")
        text = "\n".join(one.text or f"- {one.title}: {one.url}" for one in inner)
    return Message(role="tool", content=escape_markers(text), tool_call_id=block.tool_use_id)


def _call(block: Block, index: int, field: str) -> dict[str, Any]:
    if not block.id or not block.name:
        raise BadRequest(f"{field}: a {block.type} block needs an id and a name")
    function = {"index": index, "name": block.name, "arguments": call_arguments(block.input)}
    return {"id": block.id, "type": "function", "function": function}


async def _other_turn(
    role: str, blocks: list[Block], field: str, names: dict[str, str], remote: Remote
) -> list[Message]:
    """A turn of another role: tool results first, then the rest."""
    messages: list[Message] = []
    rest: Parts = []
    for number, block in enumerate(blocks):
        where = f"{field}[{number}]"
        if block.type == "tool_result":
            messages.append(await _result(block, where, names, remote))
        else:
            rest += _parts(block, where)
    if rest or not messages:
        text, images = await assemble(rest, remote)
        messages.append(Message(role=role, content=text, images=images))
    return messages


async def _result(block: Block, field: str, names: dict[str, str], remote: Remote) -> Message:
    """A tool's result. `is_error` becomes text, because templates have no field for it."""
    if not block.tool_use_id:
        raise BadRequest(f"{field}: a tool_result block needs a tool_use_id")
    if isinstance(block.content, dict):
        raise BadRequest(f"{field}.content: must be text or a list of blocks")
    parts: Parts = ["Error:"] if block.is_error else []
    for number, inner in enumerate(_blocks(block.content or "")):
        parts += _parts(inner, f"{field}.content[{number}]")
    text, images = await assemble(parts, remote)
    name = names.get(block.tool_use_id, "")
    return Message(role="tool", content=text, images=images, tool_name=name, tool_call_id=block.tool_use_id)


def _parts(block: Block, field: str) -> Parts:
    if block.type == "text":
        return [block.text or ""]
    if block.type == "tool_reference":
        return [block.tool_name or ""]
    if block.type == "image" and isinstance(block.source, Source):
        return [_image(block.source, field)]
    if block.type == "document" and isinstance(block.source, Source):
        described: Parts = [text for text in (block.title, block.context) if text]
        return described + _document(block.source, field)
    if block.type == "search_result" and isinstance(block.source, str) and isinstance(block.content, list):
        texts = [part.text or "" for part in block.content]
        return ["\n".join(filter(None, [block.title, block.source, *texts]))]
    raise _unsupported(block, field)


def _image(source: Source, field: str) -> MediaFile | Url:
    given = {"base64": source.data, "url": source.url}.get(source.type)
    if not given:
        raise BadRequest(f'{field}.source: an image comes as "base64" with data, or as "url"')
    return picture(given, f"{field}.source")


def _document(source: Source, field: str) -> Parts:
    if source.type == "text":
        return [source.data or ""]
    if source.type == "content":
        blocks = _blocks(source.content or "")
        return [part for number, block in enumerate(blocks) for part in _parts(block, f"{field}[{number}]")]
    raise BadRequest(f'{field}.source: a document comes as "text" or "content"; PDF files are not supported')


def _unsupported(block: Block, field: str) -> BadRequest:
    return BadRequest(f'{field}: a block of type "{block.type}" is not supported here')
