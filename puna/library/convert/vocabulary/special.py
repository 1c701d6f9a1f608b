"""Begin, end and other special tokens, and the chat template, from the files that name them."""

from __future__ import annotations

from typing import Any

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.vocabulary.tokens import Vocabulary

_KEYS = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",  # so spelled in the format
    "pad": "padding",
    "cls": "cls",
    "mask": "mask",
}
_TEMPLATE = "tokenizer.chat_template"


def add_special(vocabulary: Vocabulary, checkpoint: Checkpoint, tokenizer: Config) -> None:
    """Add the ids, whether to add begin and end tokens, and the template. Raises BadRequest."""
    settings = checkpoint.json("tokenizer_config.json")
    if vocabulary.model != "bert":
        _add_ids(vocabulary, checkpoint, settings)
        _add_surroundings(vocabulary, settings, tokenizer)
    _add_template(vocabulary, checkpoint, settings)


def _add_ids(vocabulary: Vocabulary, checkpoint: Checkpoint, settings: Config) -> None:
    ids = {text: at for at, text in enumerate(vocabulary.tokens)}
    maps = (settings, checkpoint.json("special_tokens_map.json"))
    generation = checkpoint.json("generation_config.json")
    for name, key in _KEYS.items():
        texts = (_text(source.get(f"{name}_token")) for source in maps)
        at = next((ids[text] for text in texts if text in ids), None)
        if at is None:
            numbers = (_first(source.get(f"{name}_token_id")) for source in (checkpoint.config, generation))
            at = next((number for number in numbers if 0 <= number < len(ids)), None)
        if at is not None:
            vocabulary.extra[f"tokenizer.ggml.{key}_token_id"] = at
    ends = generation.get("eos_token_id")
    if isinstance(ends, list) and ends and all(type(at) is int and 0 <= at < len(ids) for at in ends):
        vocabulary.extra["tokenizer.ggml.eos_token_ids"] = ends


def _add_surroundings(vocabulary: Vocabulary, settings: Config, tokenizer: Config) -> None:
    """tokenizer_config.json decides; without it, the tokens that tokenizer.json adds first and last."""
    first, last = _template_ends(tokenizer)
    for name, added in (("bos", first), ("eos", last)):
        setting = settings.get(f"add_{name}_token")
        if isinstance(setting, bool) or added is not None:
            vocabulary.extra[f"tokenizer.ggml.add_{name}_token"] = (
                setting if isinstance(setting, bool) else bool(added)
            )


def _template_ends(tokenizer: Config) -> tuple[bool | None, bool | None]:
    """Whether the post-processor adds a special token before and after a text; None if it does not say."""
    top = tokenizer.section("post_processor").values
    inner = top.get("processors")
    for part in inner if isinstance(inner, list) else [top]:
        if not isinstance(part, dict) or part.get("type") != "TemplateProcessing":
            continue
        single = part.get("single")
        if isinstance(single, list) and single and all(isinstance(piece, dict) for piece in single):
            return "SpecialToken" in single[0], "SpecialToken" in single[-1]
    return None, None


def _add_template(vocabulary: Vocabulary, checkpoint: Checkpoint, settings: Config) -> None:
    """From chat_template.jinja, else tokenizer_config.json, else chat_template.json; there may be several."""
    template: Any = None
    if checkpoint.has("chat_template.jinja"):
        try:
            template = (checkpoint.folder / "chat_template.jinja").read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise BadRequest(f"cannot read chat_template.jinja: {error}") from None
    template = (
        template
        or settings.get("chat_template")
        or checkpoint.json("chat_template.json").get("chat_template")
    )
    if isinstance(template, str):
        template = [{"name": "default", "template": template}]
    if template is None:
        return
    try:
        for entry in template:
            name, text = str(entry["name"]), str(entry["template"])
            text.encode()
            vocabulary.extra[_TEMPLATE if name == "default" else f"{_TEMPLATE}.{name}"] = text
    except (TypeError, KeyError, UnicodeEncodeError):
        raise settings.error("chat_template", "is no template") from None


def _text(value: Any) -> str:
    """The text of a token that is written as text, or as an object with it."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else ""


def _first(value: Any) -> int:
    number = value[0] if isinstance(value, list) and value else value
    return number if type(number) is int else -1
