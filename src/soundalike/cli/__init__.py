"""The command line: verbs that parse, call and print; no logic.

stdout carries data only (with ``--json`` one JSON object per line), stderr progress and notes. Exit codes: 0 all done,
1 some inputs failed (each named), 2 wrong usage or nothing could be done, 130 interrupted. Every option is also an
environment variable: ``--json`` of ``soundalike embed`` is ``SOUNDALIKE_EMBED_JSON``; those that all commands share have
the short form (``SOUNDALIKE_MODEL``).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from soundalike import __version__
from soundalike.errors import SoundalikeError

COMMANDS = {  # verb: the module that has it, imported when it is used
    "compare": "compare",
    "demo": "demo",
    "embed": "embed",
    "info": "info",
    "models": "models",
    "retry": "embed",
    "verify": "verify",
}


class Verbs(click.Group):
    """A group whose commands are imported at use, so that ``--help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(import_module(f"soundalike.cli.{COMMANDS[name]}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; errors become one line on stderr."""
        try:
            return super().invoke(ctx)
        except SoundalikeError as error:
            click.echo(f"soundalike: {error}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("soundalike: interrupted; what was finished is kept", err=True)
            ctx.exit(130)


@click.command(cls=Verbs, context_settings={"auto_envvar_prefix": "SOUNDALIKE", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="soundalike")
def main() -> None:
    """Sounds to vectors, vectors to answers, on your own machine."""
