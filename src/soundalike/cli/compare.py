"""``soundalike compare``."""

from __future__ import annotations

from pathlib import Path

import click

from soundalike.cli.common import PATH, json_option, model_option, print_json, shown, words


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH, required=False)
@click.option("--text", callback=words, help="Compare A with these words in place of a second sound.")
@model_option
@json_option
def compare(a: Path, b: Path | None, text: str | None, model: str, device: str, as_json: bool) -> None:
    """Say how alike two sounds are, or a sound and a description."""
    from soundalike.embed import load_model

    if (b is None) == (text is None):
        raise click.UsageError("Give a second sound, or words with --text.")
    loaded = load_model(model, device)
    first = loaded.embed_file(a).vector
    other = loaded.embed_file(b).vector if b is not None else loaded.embed_text([text or ""])[0]
    score = float(first @ other)
    calibration = loaded.card.calibration
    probability = calibration.probability(score, text=text is not None) if calibration else None
    said = "" if probability is None else _in_words(probability)
    if as_json:
        other_name = shown(b if b is not None else text or "")
        print_json({"a": shown(a), "b": other_name, "score": score, "probability": probability, "model": model})
    else:
        click.echo(f"{score:.4f}  {said}")


def _in_words(probability: float) -> str:
    """What a probability of a match means to a reader."""
    steps = ((0.97, "very much alike"), (0.9, "alike"), (0.7, "somewhat alike"), (0.4, "a little alike"))
    return next((words for limit, words in steps if probability >= limit), "not alike")
