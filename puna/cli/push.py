"""`puna push`."""

from __future__ import annotations

from puna.cli.arguments import Insecure, ModelName
from puna.cli.connection import CommandFailed, connect
from puna.cli.display import Display

_DEFAULT_HOST = "registry.ollama.ai"


def push(model: ModelName, insecure: Insecure = False) -> None:
    """Push a model to a registry."""
    try:
        with connect() as client, Display() as display:
            display.follow(client.push(model, insecure=insecure, stream=True))
    except CommandFailed as failure:
        if any(word in str(failure).lower() for word in ("access denied", "unauthorized")):
            raise CommandFailed(
                "you are not authorized to push to this namespace, create the model under a namespace you own"
            ) from None
        raise
    print(f"\nYou can find your model at:\n\n\t{address(model)}")


def address(model: str) -> str:
    """The web address of a pushed model (Ollama cmd.go, PushHandler; types/model/name.go)."""
    tag_at = model.rfind(":")
    path, tag = (model[:tag_at], model[tag_at + 1 :]) if tag_at > model.rfind("/") else (model, "latest")
    host, namespace, name = ["", "", *path.rsplit("/", 2)][-3:]
    host = host.partition("://")[2] or host or _DEFAULT_HOST
    if not host.endswith((".ollama.ai", ".ollama.com")):
        return f"{host}/{namespace or 'library'}/{name}:{tag}"
    tagged = name if tag == "latest" else f"{name}:{tag}"
    return f"https://ollama.com/{tagged if namespace in ('', 'library') else f'{namespace}/{tagged}'}"
