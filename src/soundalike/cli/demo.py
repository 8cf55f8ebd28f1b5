"""``soundalike demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import PATH, note, shown

if TYPE_CHECKING:
    from soundalike.export import Embeddings
    from soundalike.types import F32

_SOUNDS = ("drums", "animals", "nature")  # folders of the examples: the first sound of each is looked for
_WORDS = ("rain on a roof", "an angry dog", "a deep kick drum", "someone walking", "engine of a vehicle")


@click.command()
@click.option("--out", "-o", default="demo-out", show_default=True, type=PATH, help="Folder for the results.")
def demo(out: Path) -> None:
    """Embed the example sounds that come along, and search them."""
    from soundalike.batch import embed_into
    from soundalike.embed import load_model
    from soundalike.export import read_embeddings
    from soundalike.folders import find_sounds
    from soundalike.selftest import EXAMPLES

    model = load_model()
    end = embed_into(out, model, find_sounds([EXAMPLES]))
    counts = f"{end.n_done} example sounds embedded, {end.n_unchanged} unchanged"
    note(f"{counts}: one JSON file each in {shown(out)}")
    found = read_embeddings(out)
    names = [record["path"] for record in found.records]
    for folder in _SOUNDS:
        row = next(i for i, name in enumerate(names) if name.startswith(folder + "/"))
        _show(f"Sounds like {names[row]}", found, found.vectors[row], skip=row)
    for words, vector in zip(_WORDS, model.embed_text(_WORDS), strict=True):
        _show(f"Words: “{words}”", found, vector, skip=-1)


def _show(title: str, found: Embeddings, query: F32, skip: int) -> None:
    from soundalike.nearest import nearest

    click.echo(f"\n{title}")
    rows, scores = nearest(query, found.vectors, 4)
    best = [(row, score) for row, score in zip(rows, scores, strict=True) if row != skip][:3]
    for row, score in best:
        click.echo(f"  {score:6.3f}  {found.records[row]['path']}")
