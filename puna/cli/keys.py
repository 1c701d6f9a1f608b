"""`puna keys`: manage this machine's keys.

They edit the keys file, which a running server reloads, so the first key needs no other key.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.columns import columns
from puna.cli.connection import CommandFailed
from puna.human import human_time
from puna.settings import Settings, parse_duration

if TYPE_CHECKING:
    from puna.access import Key, KeyUsage

_SCOPES = ("infer", "manage", "admin")

keys = typer.Typer(
    help="Make, list and revoke keys. Once there is one, the server asks for a key.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@keys.command(
    "create",
    epilog="\n".join(
        [
            "\b",
            "Examples:",
            "  puna keys create ann",
            "  puna keys create ann --model 'qwen3:*' --expires 30d --requests-per-minute 20",
            "  puna keys create ops --scope infer --scope manage",
            "  export OLLAMA_API_KEY=$(puna keys create me --scope admin)",
        ]
    ),
)
def create(
    name: Annotated[str, typer.Argument(help="Whom or what the key is for.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="infer (use models), manage (change them) or admin (all). [default: infer]"),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model it may use, or a pattern: 'qwen3:*'. [default: all]")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="When it ends: 30d, 12h, or a date such as 2027-01-31.", show_default=False)
    ] = "",
    requests_per_minute: Annotated[int, typer.Option(min=0, help="0 is no limit.")] = 0,
    tokens_per_day: Annotated[int, typer.Option(min=0, help="Of prompts and answers. 0 is no limit.")] = 0,
    concurrent: Annotated[int, typer.Option(min=0, help="Requests at once. 0 is no limit.")] = 0,
    share: Annotated[
        str, typer.Option(help="Keys with the same word share cached prompts.", show_default=False)
    ] = "",
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    from puna.access import add_key, new_key

    scopes = scope or ["infer"]
    for wrong in set(scopes) - set(_SCOPES):
        raise CommandFailed(f'unknown scope "{wrong}"; known are {", ".join(_SCOPES)}')
    with _key_errors():
        key, secret = new_key(
            name,
            scopes=scopes,
            models=model or [],
            expires=_parse_expiry(expires) if expires else None,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
            concurrent=concurrent,
            share=share,
        )
        path = Settings.from_environment().keys
        add_key(path, key)
    print(f"puna: the key {name} is in {path}; save it, because it is not shown again", file=sys.stderr)
    print(secret)


@keys.command("list")
def list_keys() -> None:
    """List keys, what they allow, and when each was last used."""
    from puna.access import KeyUsage, read_keys, read_usage, usage_path

    path = Settings.from_environment().keys
    with _key_errors():
        stored = read_keys(path)
        used = read_usage(usage_path(path))
    rows = [["NAME", "ID", "SCOPES", "MODELS", "LIMITS", "EXPIRES", "LAST USED"]]
    rows += [_row(key, used.get(key.id, KeyUsage())) for key in stored]
    print(columns(rows))


keys.command("ls", hidden=True)(list_keys)


@keys.command("revoke")
def revoke(names: Annotated[list[str], typer.Argument(help="Names or ids.", show_default=False)]) -> None:
    """Revoke keys: the server refuses them from their next request on."""
    from puna.access import remove_key

    path = Settings.from_environment().keys
    for name in names:
        with _key_errors():
            key = remove_key(path, name)
        print(f"revoked '{key.name}'")


keys.command("rm", hidden=True)(revoke)


def _row(key: Key, used: KeyUsage) -> list[str]:
    now = datetime.now(timezone.utc)
    last = datetime.fromtimestamp(used.last, timezone.utc)
    return [
        key.name,
        key.id,
        ",".join(key.scopes),
        ",".join(key.models) or "all",
        _limits(key, used, now),
        "Never" if not key.expires else "Expired" if key.expired(now) else human_time(key.expires, now),
        human_time(last, now) if used.last else "Never",
    ]


def _limits(key: Key, used: KeyUsage, now: datetime) -> str:
    today = used.on(int(now.timestamp()) // 86_400)
    limits = (
        (key.requests_per_minute, f"{key.requests_per_minute} requests/minute"),
        (key.tokens_per_day, f"{today} of {key.tokens_per_day} tokens/day"),
        (key.concurrent, f"{key.concurrent} at once"),
        (key.share, f"shares {key.share}"),
    )
    return ", ".join(words for limit, words in limits if limit) or "none"


def _parse_expiry(text: str) -> datetime:
    """When a key expires: a duration from now, or a date. Raises CommandFailed."""
    now = datetime.now(timezone.utc)
    try:
        if text[:-1].isdecimal() and text.endswith("d"):
            return now + timedelta(days=int(text[:-1]))
        if text[:1].isdecimal() and "-" not in text:
            return now + timedelta(seconds=parse_duration(text))
        # A date without a zone is local time.
        return datetime.fromisoformat(text).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise CommandFailed(f'cannot read "{text}" as 30d, 12h, or a date such as 2027-01-31') from None


@contextmanager
def _key_errors() -> Iterator[None]:
    from puna.errors import PunaError

    try:
        yield
    except PunaError as error:
        raise CommandFailed(str(error)) from None
