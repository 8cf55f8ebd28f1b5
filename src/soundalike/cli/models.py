"""``soundalike models``."""

from __future__ import annotations

from pathlib import Path

import click

from soundalike.cli.common import PATH, json_option, note, print_json, shown


@click.group()
def models() -> None:
    """List the models, say what is known of each, and convert published ones."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the models by name."""
    from soundalike.models.cards import CARDS, card_of, is_here

    for card in map(card_of, CARDS):
        if as_json:
            print_json({
                "name": card.name, "summary": card.summary, "dim": card.dim, "text": card.text is not None,
                "licence": card.licence, "n_bytes": sum(file.n_bytes for file in card.files),
                "pipeline": card.pipeline if is_here(card) else None, "sample_rate": card.sample_rate,
                "installed": is_here(card),
            })  # fmt: skip
        else:
            size = f"{sum(file.n_bytes for file in card.files) / 1e6:.0f} MB" if is_here(card) else "not here"
            words = "sounds and words" if card.text else "sounds only"
            click.echo(f"{card.name}\t{card.dim}-d\t{words}\t{size}\t{card.summary}")
    if not as_json:
        note("pocket comes with the package. How to get one that is not here: soundalike models show NAME")


@models.command("show")
@click.argument("name")
def show_model(name: str) -> None:
    """Show the card of one model."""
    from soundalike.models.cards import card_of, is_here

    card = card_of(name)
    click.echo(f"{card.name}: {card.summary}\n")
    facts = {
        "vectors": f"{card.dim} numbers, {'sounds and words' if card.text else 'sounds only'}",
        "takes": f"{card.sample_rate} Hz mono, {card.segments.length_s:g} s every {card.segments.hop_s:g} s",
        "level": card.level,
        "parameters": f"{card.n_parameters / 1e6:.1f} M",
        "licence": card.licence,
        "pipeline": card.pipeline if is_here(card) else "not here yet",
        "trained on": card.trained_on,
        "limits": card.limits,
    }
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
    if card.weights:
        click.echo(f"{'to get it':<12}{card.weights}; then: soundalike models convert {card.name} FOLDER")


@models.command("convert")
@click.argument("name")
@click.argument("folder", type=PATH)
@click.option("--int8", is_flag=True, help="Matrices in 8 bits: a quarter of the size, slightly other numbers.")
def convert_model(name: str, folder: Path, int8: bool) -> None:
    """Make a published model ready for use here, from its weights in FOLDER.

    Needs the extra soundalike[convert]. The network that is written is compared with the one that was read, and kept
    only if both give the same.
    """
    from soundalike.errors import ModelError
    from soundalike.models.cards import card_of, folder_of
    from soundalike.models.convert import convert

    card = card_of(name)
    if not card.weights:
        raise ModelError(f"{name} comes with the package: there is nothing to convert.")
    note(f"{name}: writing the network, then running it beside the original; large ones take a minute")
    made = convert(card, folder, folder_of(card), "int8" if int8 else "fp32")
    note(f"{name}: wrote {shown(folder_of(card))}, cosine with the original at least {min(made.cosines.values()):.7f}")
