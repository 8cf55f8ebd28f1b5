"""The command line: verbs that parse, call and print; no logic.

stdout carries data only (with ``--json`` one JSON object per line), stderr progress and notes. Exit codes: 0
all done, 1 some inputs failed (each named), 2 wrong usage or nothing could be done, 130 interrupted. Every
option is also an environment variable, the same for all verbs: ``--model`` is ``SOUNDALIKE_MODEL``; where it means
something else to a verb, the verb is part of the name: ``SOUNDALIKE_TRANSCRIBE_MODEL``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from soundalike import __version__
from soundalike.errors import SoundalikeError, SoundError

COMMANDS = {  # verb: the module that has it, imported when it is used
    "add": "library",
    "bench-index": "search",
    "classify": "classify",
    "clusters": "clusters",
    "compare": "compare",
    "demo": "demo",
    "duplicates": "duplicates",
    "embed": "embed",
    "failures": "library",
    "features": "features",
    "info": "info",
    "labels": "classify",
    "map": "map",
    "models": "models",
    "pull": "push",
    "push": "push",
    "query": "push",
    "rebuild": "library",
    "recommend": "recommend",
    "remove": "library",
    "retry": "embed",
    "search": "search",
    "serve": "serve",
    "speakers": "speech",
    "status": "library",
    "sync": "library",
    "train": "classify",
    "transcribe": "speech",
    "verify": "verify",
}


class Verbs(click.Group):
    """A group whose commands are imported at use, so that ``--help`` answers at once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a verb: the page, once there is a library; help before."""
        return super().parse_args(ctx, args or (["serve"] if _has_library() else []))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a verb and give its options their environment variables."""
        if name not in COMMANDS:
            return None
        command = getattr(import_module(f"soundalike.cli.{COMMANDS[name]}"), name.replace("-", "_"))
        assert isinstance(command, click.Command)
        _name_variables(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; errors become one line on stderr."""
        from soundalike.cli.common import note

        try:
            return super().invoke(ctx)
        except SoundalikeError as error:
            note(f"soundalike: {error}")
            ctx.exit(1 if isinstance(error, SoundError) else 2)
        except (KeyboardInterrupt, ImportError) as error:
            if not _is_interrupt(error):
                raise
            note("soundalike: interrupted; what was finished is kept")
            ctx.exit(130)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it is Ctrl-C, or what an extension that was being loaded has made of it."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _is_interrupt(error.__cause__))


def _has_library() -> bool:
    from soundalike.library import default_path
    from soundalike.library.database import is_made

    return is_made(default_path())


def _name_variables(command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            longest = max(option.opts, key=len)
            option.envvar = "SOUNDALIKE_" + longest.lstrip("-").replace("-", "_").upper()
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            _name_variables(verb)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="soundalike")
def main() -> None:
    """Sounds to vectors, vectors to answers, on your own machine.

    Without a command, the library is opened in the browser, once there is one: see `soundalike serve`.
    """
