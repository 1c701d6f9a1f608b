"""The program: its commands, its help, and its exit status."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer

from puna import __version__
from puna.cli.connection import CommandFailed, server_version
from puna.cli.create import create
from puna.cli.doctor import doctor
from puna.cli.flags import FlagCommand
from puna.cli.keys import keys
from puna.cli.launch import launch
from puna.cli.models import copy, delete, list_models, show
from puna.cli.pull import pull
from puna.cli.push import push
from puna.cli.run import run
from puna.cli.running import list_running, stop
from puna.cli.serve import ENVIRONMENT, serve
from puna.cli.streams import flush, open_streams, replace_surrogates
from puna.cli.ui import ui
from puna.cli.wrap import printable
from puna.settings import OLLAMA_LEVEL, Settings


def examples(*lines: str) -> str:
    """The end of a command's help. The mark prevents typer from joining the lines."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


app = typer.Typer(
    name="puna",
    help="Run large language models on your own machine.",
    epilog=examples(
        "puna run smollm2:135m                         # talk with a model",
        'puna run smollm2:135m "Why is the sky blue?"  # one answer',
        "puna list                                     # the models on this machine",
        "puna serve                                    # the HTTP API, on port 11434",
    ),
    # Help without rich: drawing boxes would take longer than most commands do.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(flag: bool) -> None:
    if not flag:
        return
    version = server_version(Settings.from_environment())
    if version is None:
        print("Warning: could not connect to a running Puna instance")
    print(f"puna version is {__version__} (Ollama API {OLLAMA_LEVEL})")
    if version is not None and version != OLLAMA_LEVEL:
        print(f"Warning: server version is {version or 'unknown'}")
    raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", help="Show version information.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Without a command: the menu for a person, the help for a program."""
    if context.invoked_subcommand is not None:
        return
    from puna.cli.menu import is_person, menu

    if is_person():
        menu(context.get_help())
    else:
        print(context.get_help())


app.command(
    "serve", epilog=examples("puna serve", "OLLAMA_HOST=0.0.0.0:8080 puna serve") + "\n\n" + ENVIRONMENT
)(serve)
app.command("start", hidden=True)(serve)
app.command(
    "create",
    epilog=examples(
        "puna create mine                     # from ./Modelfile, or the model files in this folder",
        "puna create mine -f other/Modelfile  # paths in it start from its own folder",
        "puna create mine -q q4_K_M           # quantized on the way",
        "echo 'FROM ./model.gguf' | puna create mine -f -",
    ),
)(create)
app.command(
    "run",
    epilog=examples(
        "puna run smollm2:135m",
        'puna run smollm2:135m "Why is the sky blue?"',
        'cat report.txt | puna run smollm2:135m "Summarise this."',
        'puna run smollm2:135m --format json "Name three rivers, as JSON."',
        'puna run qwen3 --think=false "Why is the sky blue?"',
        'puna run gemma3 "What is in this picture? ./photo.png"',
        'puna run all-minilm "turn this into a vector"',
    ),
)(run)
app.command("ui", epilog=examples("puna ui", "puna ui --no-browser"))(ui)
app.command(
    "launch",
    epilog=examples(
        "puna launch claude                              # Claude Code, on a model you choose",
        "puna launch codex --model qwen3-coder",
        'puna launch opencode -m qwen3 -- run "Say hi."  # what follows -- is the agent\'s',
    ),
)(launch)
app.command("pull", epilog=examples("puna pull smollm2:135m"))(pull)
app.command(
    "push",
    epilog=examples(
        "puna push yourname/mine",
        "puna push registry.example.com/team/mine:v2",
        "puna push --insecure localhost:5000/team/mine",
    ),
)(push)
app.command("list", epilog=examples("puna list", "puna list smol"))(list_models)
app.command("ls", hidden=True)(list_models)
app.command("show", epilog=examples("puna show smollm2:135m", "puna show --modelfile smollm2:135m"))(show)
app.command("ps", epilog=examples("puna ps", "puna ps --devices"))(list_running)
app.command("stop", epilog=examples("puna stop smollm2:135m"))(stop)
app.command("cp", epilog=examples("puna cp smollm2:135m mine"))(copy)
app.command("rm", epilog=examples("puna rm mine", "puna rm mine other:latest"))(delete)
app.add_typer(keys, name="keys")
app.command("doctor", epilog=examples("puna doctor", "puna doctor --fix"))(doctor)
for _command in app.registered_commands:
    _command.cls = FlagCommand


def main() -> None:
    """Run the command line. Exit status: 0, 1 for any failure, 130 for Ctrl-C."""
    open_streams()
    words = [replace_surrogates(word) for word in sys.argv[1:]]
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    status, failure = 0, None
    try:
        app(words, prog_name="puna")
    except CommandFailed as error:
        status = _print_error(str(error))
    except OSError as error:
        failure = error
    except SystemExit as end:
        # Typer exits with 2 for a usage error; Ollama exits with 1 for every error.
        status = 1 if end.code == 2 else end.code
    failure = flush() or failure
    # A closed pipe (`puna list | head -1`) is no error.
    if failure and not isinstance(failure, BrokenPipeError):
        _print_error((failure.strerror or str(failure)).lower())
    sys.exit(1 if failure else status)


def _print_error(reason: str) -> int:
    with suppress(OSError):
        print(f"Error: {printable(reason)}", file=sys.stderr)
    return 1
