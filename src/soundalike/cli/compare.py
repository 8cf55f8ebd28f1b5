"""``soundalike compare``."""

from __future__ import annotations

from pathlib import Path

import click

from soundalike.cli.common import PATH, json_option, model_option, print_json, shown


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH, required=False)
@click.option("--text", help="Compare A with these words in place of a second sound.")
@model_option
@json_option
def compare(a: Path, b: Path | None, text: str | None, model: str, device: str, as_json: bool) -> None:
    """Say how alike two sounds are, or a sound and a description."""
    from soundalike.embed import load_model, similarity_in_words

    if (b is None) == (text is None):
        raise click.UsageError("Give a second sound, or words with --text.")
    loaded = load_model(model, device)
    first = loaded.embed_file(a).vector
    other = loaded.embed_file(b).vector if b is not None else loaded.embed_text([text or ""])[0]
    score = float(first @ other)
    words = similarity_in_words(score, text is not None)
    if as_json:
        other_name = shown(b) if b is not None else shown(text or "")
        print_json({"a": shown(a), "b": other_name, "score": score, "words": words, "model": model})
    else:
        click.echo(f"{score:.4f}  {words}")
