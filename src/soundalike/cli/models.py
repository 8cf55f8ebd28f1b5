"""``soundalike models``."""

from __future__ import annotations

import click

from soundalike.cli.common import json_option, print_json


@click.group()
def models() -> None:
    """List the models, and what is known of each."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the models by name."""
    from soundalike.models.cards import CARDS

    for card in CARDS.values():
        if as_json:
            print_json({
                "name": card.name, "summary": card.summary, "dim": card.dim, "text": card.text is not None,
                "licence": card.licence, "n_bytes": sum(file.n_bytes for file in card.files),
                "pipeline": card.pipeline, "sample_rate": card.sample_rate,
            })  # fmt: skip
        else:
            size = sum(file.n_bytes for file in card.files) / 1e6
            words = "sounds and words" if card.text else "sounds only"
            click.echo(f"{card.name}\t{card.dim}-d\t{words}\t{size:.0f} MB\t{card.summary}")
    if not as_json:
        click.echo("Installed with the package; nothing to download.", err=True)


@models.command("show")
@click.argument("name")
def show_model(name: str) -> None:
    """Show the card of one model."""
    from soundalike.models.cards import card_of

    card = card_of(name)
    click.echo(f"{card.name}: {card.summary}\n")
    facts = {
        "vectors": f"{card.dim} numbers, {'sounds and words' if card.text else 'sounds only'}",
        "takes": f"{card.sample_rate} Hz mono, {card.segments.length_s:g} s every {card.segments.hop_s:g} s",
        "level": card.level,
        "parameters": f"{card.n_parameters / 1e6:.1f} M",
        "licence": card.licence,
        "pipeline": card.pipeline,
        "trained on": card.trained_on,
        "limits": card.limits,
    }
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
