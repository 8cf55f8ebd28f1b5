"""``soundalike models``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import (
    PATH,
    device_option,
    json_option,
    note,
    print_json,
    print_rows,
    progress_bar,
    shown,
    size,
)

if TYPE_CHECKING:
    from soundalike.models.card import ModelCard

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def models() -> None:
    """List the models, fetch published ones, try them, remove them."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the models by name."""
    from soundalike.models.cards import CARDS, card_of, is_here

    all_cards = list(map(card_of, CARDS))
    for card in all_cards if as_json else ():
        print_json({
            "name": card.name, "summary": card.summary, "dim": card.dim, "text": card.text is not None,
            "licence": card.licence, "n_bytes": card.n_bytes,
            "pipeline": card.pipeline if is_here(card) else None, "sample_rate": card.sample_rate,
            "installed": is_here(card),
        })  # fmt: skip
    if not as_json:
        print_rows([_row(card, is_here(card)) for card in all_cards])
        note("pocket comes with the package, clap is clap-htsat-unfused. To get one: soundalike models pull NAME")


def _row(card: ModelCard, here: bool) -> list[str]:
    words = "sounds and words" if card.text else "sounds only"
    return [card.name, f"{card.dim}-d", words, f"{size(card.n_bytes)} {'here' if here else 'to fetch'}", card.summary]


@models.command("show")
@click.argument("name")
def show_model(name: str) -> None:
    """Show the card of one model."""
    from soundalike.models.cards import card_of, folder_of, is_here

    card = card_of(name)
    click.echo(f"{card.name}: {card.summary}\n")
    facts = {
        "vectors": f"{card.dim} numbers, {'sounds and words' if card.text else 'sounds only'}",
        "takes": f"{card.sample_rate} Hz mono, {card.segments.length_s:g} s every {card.segments.hop_s:g} s",
        "level": _LEVELS[card.level],
        "parameters": f"{card.n_parameters / 1e6:.1f} M",
        "licence": card.licence,
        "pipeline": card.pipeline if is_here(card) else "not here yet",
        "trained on": card.trained_on,
        "limits": card.limits,
    }
    for label, value in facts.items():
        click.echo(f"{label:<12}{value}")
    for file in card.source.files if card.source else ():
        click.echo(f"{'from':<12}{file.address} ({size(file.n_bytes)})")
        if file.sha256 or file.md5:
            click.echo(f"{'':<12}{f'sha256 {file.sha256}' if file.sha256 else f'md5 {file.md5}'}")
    if card.source and is_here(card):
        click.echo(f"{'lies in':<12}{shown(folder_of(card))}")
    elif card.source:
        if not card.source.ready:
            click.echo(f"{'first':<12}pip install 'soundalike[convert]' (torch turns its weights into a network, once)")
        click.echo(f"{'to get it':<12}soundalike models pull {card.name}")


_LEVELS = {
    "none": "left as it is", "peak": "the largest sample becomes 1", "rms": "brought to -20 dBFS",
    "loudness": "brought to -20 LUFS", "raised": "raised to -30 dBFS where it is lower",
}  # fmt: skip


@models.command("pull")
@click.argument("name")
@click.option("--from", "source", type=FOLDER, help="Folder with a copy of the files, in place of the network.")
@click.option("--int8", is_flag=True, help="Matrices in 8 bits, where it is converted: smaller, other numbers.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def pull_model(name: str, source: Path | None, int8: bool, yes: bool) -> None:
    """Get a published model: fetch its files, make it ready, try it.

    Broken off, the same command goes on. Files are checked against their hashes, and a model that cannot tell a dog
    from a piano is refused.
    """
    from soundalike.models.cards import card_of, folder_of, is_here
    from soundalike.pulling import Step, pull, require

    card = card_of(name)
    if card.source is None or is_here(card):
        note(f"{card.name} is here already.")
        return
    require(card)
    note(f"{card.name}: {size(card.n_bytes)}, licence: {card.licence}")
    if not yes and sys.stdin.isatty():
        click.confirm("Get it?", default=True, abort=True, err=True)
    words = {"converting": "writing the network, and running it beside the original", "trying": "trying it"}

    with progress_bar(1000, "fetching") as show:
        def on_step(step: Step, file: str, done: int, total: int) -> None:
            if step == "fetching":
                show(round(1000 * done / max(total, 1)), f"{Path(file).name} {size(done)} of {size(total)}")
            else:
                show(1000, words[step])

        made = pull(name, source, "int8" if int8 else "fp32", on_step)
    note(f"{made.name} is ready: {shown(folder_of(made))}")


@models.command("check")
@click.argument("name")
@device_option
@json_option
def check_model(name: str, device: str, as_json: bool) -> None:
    """Try a model on example sounds and words.

    Are they told apart, and do words and sounds fit each other?
    """
    from soundalike.embed import load_model
    from soundalike.pulling import TRIED, check

    model = load_model(name, device)
    wrong = list(check(model))
    if as_json:
        print_json({"name": name, "ok": not wrong, "wrong": wrong})
    for reason in wrong:
        note(f"{name}: {reason}")
    if wrong:
        raise click.exceptions.Exit(1)
    words = ", and words find their sounds" if model.card.text else ""
    note(f"{name}: all is well: {len(TRIED)} sounds are told apart{words}.")


@models.command("remove")
@click.argument("name")
def remove_model(name: str) -> None:
    """Take a fetched model off this machine. Vectors that it has made stay."""
    from soundalike.pulling import remove

    note(f"{name}: removed {shown(remove(name))}")


@models.command("convert")
@click.argument("name")
@click.argument("folder", type=PATH)
@click.option("--int8", is_flag=True, help="Matrices in 8 bits: a quarter of the size, slightly other numbers.")
def convert_model(name: str, folder: Path, int8: bool) -> None:
    """Make a published model ready, from its weights in FOLDER.

    Needs the extra soundalike[convert]. The network that is written is compared with the one that was read, and kept
    only if both give the same.
    """
    from soundalike.errors import ModelError
    from soundalike.models.cards import card_of, folder_of
    from soundalike.models.convert import convert

    card = card_of(name)
    if card.source is None:
        raise ModelError(f"{name} comes with the package: there is nothing to convert.")
    note(f"{name}: writing the network, then running it beside the original; large ones take a minute")
    made = convert(card, folder, folder_of(card), "int8" if int8 else "fp32")
    note(f"{name}: wrote {shown(folder_of(card))}, cosine with the original at least {min(made.cosines.values()):.7f}")
