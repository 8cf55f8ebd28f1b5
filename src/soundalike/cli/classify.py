"""``soundalike train``, ``soundalike classify`` and ``soundalike labels``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import NO_SOUNDS, PATH, device_option, json_option, note, print_json, say_failed, shown
from soundalike.cli.library import library_option

if TYPE_CHECKING:
    from soundalike.classify import Report
    from soundalike.library.findings import Training
    from soundalike.types import Failure

_FEW = 60  # labels whose rows are printed


@click.command()
@click.argument("examples", type=PATH)
@click.option("--out", "-o", required=True, type=PATH, help="Write the classifier to this JSON file.")
@click.option("--picture", type=PATH, help="Draw the confusion matrix to this PNG file.")
@click.option("--curve", is_flag=True, help="Also measure accuracy against the number of examples.")
@device_option
@library_option
@json_option
def train(
    examples: Path, out: Path, picture: Path | None, curve: bool, device: str, library: Path | None, as_json: bool
) -> None:
    """Learn labels from examples of your own.

    EXAMPLES is a folder with a folder for each label, or a CSV file of path,label. Sounds that are in the library
    are not read again.
    """
    from soundalike.library import Library

    with Library.open(library, device=device) as opened:
        done = opened.train(examples, curve=curve)
    done.classifier.save(out)
    if picture and done.report:
        _write_picture(done.report, picture)
    if done.report is None:
        note("Too few examples to test" + (", and to draw" if picture else "") + ": two of each label are needed.")
    _print_json_training(done, out) if as_json else _print_training(done)
    note(f"classifier: {shown(out)}")
    _end(done.failures, as_json)


def _write_picture(report: Report, path: Path) -> None:
    from soundalike.classify import draw_confusion
    from soundalike.export import atomic

    with atomic(path) as file:
        file.write(draw_confusion(report))
    note(f"confusion matrix: {shown(path)}")


def _print_training(done: Training) -> None:
    click.echo(f"{done.classifier.n_examples} examples of {len(done.classifier.labels)} labels")
    report = done.report
    if report is None:
        return
    folds = f"{report.n_folds}-fold cross-validation"
    click.echo(f"accuracy {report.accuracy:.1%}, mean of the labels {report.balanced_accuracy:.1%} ({folds})")
    for number, label in enumerate(report.labels[:_FEW]):
        row, said = report.confusion[number], report.confusion[:, number]
        worst = max((i for i in range(len(row)) if i != number), key=lambda i: int(row[i]))
        mixed = f"  most often taken for {shown(report.labels[worst])} ({row[worst]})" if row[worst] else ""
        found, right = row[number] / max(row.sum(), 1), row[number] / max(said.sum(), 1)
        click.echo(f"  {shown(label):24} found {found:4.0%}  right {right:4.0%}  of {row.sum():4}{mixed}")
    for point in done.curve:
        click.echo(f"  {point.n_shots:4} of each label: accuracy {point.accuracy:.1%} ± {point.spread:.1%}")


def _print_json_training(done: Training, out: Path) -> None:
    report = done.report
    tested = {
        "accuracy": report.accuracy, "balanced_accuracy": report.balanced_accuracy, "n_folds": report.n_folds,
        "confusion": report.confusion.tolist(), "mistakes": [shown(done.paths[row]) for row in report.mistakes],
    } if report else None  # fmt: skip
    print_json({
        "classifier": shown(out), "pipeline": done.classifier.pipeline, "labels": done.classifier.labels,
        "n_examples": done.classifier.n_examples, "cross_validation": tested,
        "curve": [{"n_shots": p.n_shots, "accuracy": p.accuracy, "spread": p.spread} for p in done.curve],
    })  # fmt: skip


@click.command()
@click.argument("sounds", nargs=-1, type=PATH)
@click.option("--by", "-b", type=PATH, help="A classifier that `soundalike train` has written.")
@click.option("--label", multiple=True, help="A label in words, such as 'dog barking'; repeat it for more.")
@click.option("--folder", multiple=True, type=PATH, help="Without SOUNDS: only below this folder; may be repeated.")
@click.option("--top", default=1, show_default=True, type=click.IntRange(min=1), help="How many labels of each sound.")
@device_option
@library_option
@json_option
def classify(
    sounds: tuple[Path, ...], by: Path | None, label: tuple[str, ...], folder: tuple[Path, ...], top: int,
    device: str, library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Label sounds, by words or by what train has learned.

    SOUNDS are files, or folders of them; without any, the whole library is labeled. Labels in words need no examples;
    what fits none of them is called "none of these".
    """
    from soundalike.classify import Classifier
    from soundalike.folders import named_sounds
    from soundalike.library import Filters, Library

    if (by is None) == (not label):
        raise click.UsageError("Give --by CLASSIFIER, or --label WORDS once or more.")
    if len(set(label)) < len(label) or not all(words.strip() for words in label):
        raise click.UsageError("Each --label is words, and different from the others.")
    labels = Classifier.load(by) if by else list(label)
    with Library.open(library, device=device) as opened:
        paths = [sound.path for sound in named_sounds(sounds)] if sounds else None
        done = opened.classify(labels, paths, Filters(folders=folder))
    if not done.sounds and not done.failures:
        note(NO_SOUNDS)
    for sound in done.sounds:
        ranking = sound.ranking[:top]
        if as_json:
            pairs = [{"label": name, "probability": chance} for name, chance in ranking]
            chosen = {"label": sound.label, "probability": sound.probability}
            print_json({"path": shown(sound.path), **chosen, "labels": pairs})
        else:
            names = ", ".join(f"{shown(name)} {chance:.0%}" for name, chance in ranking)
            click.echo(f"{names}\t{shown(sound.path)}")
    _end(done.failures, as_json)


@click.group()
def labels() -> None:
    """Work on labels: which sounds to label next."""


@labels.command("suggest")
@click.option("--examples", type=PATH, help="The labels so far: folders or a CSV file, as for `soundalike train`.")
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(min=1), help="How many sounds.")
@click.option("--folder", multiple=True, type=PATH, help="Only below this folder; may be repeated.")
@device_option
@library_option
@json_option
def suggest(
    examples: Path | None, limit: int, folder: tuple[Path, ...], device: str, library: Path | None, as_json: bool
) -> None:
    """Say which sounds of the library to label next.

    Those of which a classifier is least sure, each unlike the others. Without examples: sounds that are typical,
    and unlike each other.
    """
    from soundalike.library import Filters, Library

    with Library.open(library, device=device) as opened:
        found = opened.suggest_labels(examples or {}, limit, Filters(folders=folder))
    for rank, one in enumerate(found, 1):
        if as_json:
            path = shown(one.sound.path)
            print_json({"rank": rank, "path": path, "doubt": one.doubt, "guess": one.guess, "id": one.sound.id})
        else:
            click.echo(f"{one.doubt:4.0%}  {shown(one.guess or '?'):20}  {shown(one.sound.path)}")
    if not found:
        note("There is no sound without a label.")


def _end(failures: Iterable[Failure], as_json: bool) -> None:
    """Name what failed; exit with 1 if anything did."""
    failed = list(failures)
    for failure in failed:
        say_failed(failure, as_json)
    if failed:
        sys.exit(1)
