"""``soundalike features``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import PATH, json_option, note, print_json, say_failed, shown
from soundalike.errors import ExportError, SoundError

if TYPE_CHECKING:
    from soundalike.features import Features


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--per-frame", is_flag=True, help="Every frame (43 per second) in place of a summary.")
@click.option("--npz", type=PATH, metavar="OUT", help="Also write all frames to this NumPy file.")
@click.option(
    "--picture", type=PATH, metavar="OUT", help="Also draw spectrogram, chroma and loudness to this PNG file."
)
@json_option
def features(
    files: tuple[Path, ...], per_frame: bool, npz: Path | None, picture: Path | None, as_json: bool
) -> None:
    """Measure pitch, tempo, key, loudness and more of FILES.

    Also onsets, MFCC, chroma and the shape of the spectrum. With several FILES, OUT is a folder and each file there
    has the sound's name and one more extension.
    """
    from soundalike.features import measure_file
    from soundalike.types import Failure

    npz_paths, pictures = _places(files, npz, ".npz"), _places(files, picture, ".png")
    failed = False
    for path in files:
        try:
            found = measure_file(path)
        except SoundError as error:
            failed = True
            say_failed(Failure.of(path, error), as_json)
            continue
        _write(found, path, npz_paths.get(path), pictures.get(path))
        _print(found, path, per_frame, as_json)
    sys.exit(1 if failed else 0)


def _places(files: tuple[Path, ...], out: Path | None, extension: str) -> dict[Path, Path]:
    """Where the file that belongs to each sound goes."""
    if out is None:
        return {}
    if len(files) == 1 and not out.is_dir():
        return {files[0]: out}
    names = {path: out / f"{path.name}{extension}" for path in files}
    if len(set(names.values())) < len(names):
        raise click.UsageError(f"Two of the FILES would both be written to {out}: they have the same name.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{shown(out)}: cannot make this folder: {error.strerror}") from error
    return names


def _write(found: Features, path: Path, npz: Path | None, picture: Path | None) -> None:
    from soundalike.features.report import write_bytes, write_npz

    if npz:
        write_npz(found, npz)
        note(f"wrote {shown(npz)}")
    if picture:
        from soundalike.features.picture import draw

        write_bytes(draw(found, shown(path.name)), picture)
        note(f"wrote {shown(picture)}")


def _print(found: Features, path: Path, per_frame: bool, as_json: bool) -> None:
    from soundalike.features import report

    if as_json:
        print_json({"path": shown(path)} | report.record(found, per_frame=per_frame))
    elif per_frame:
        click.echo("\t".join(["path", *report.column_names()]))
        for row in report.rows(found).tolist():
            click.echo("\t".join([shown(path), *("" if value != value else f"{value:.6g}" for value in row)]))
    else:
        click.echo(shown(path))
        for line in report.table(found):
            click.echo(f"  {line}")
    for warning in found.warnings:
        note(f"note: {shown(path)}: {warning}")
