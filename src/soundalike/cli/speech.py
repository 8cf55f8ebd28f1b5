"""``soundalike transcribe`` and ``soundalike speakers``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import (
    PATH,
    clock,
    device_option,
    json_option,
    note,
    print_json,
    progress_bar,
    say_failed,
    shown,
    workers_option,
)
from soundalike.errors import SoundError

if TYPE_CHECKING:
    from soundalike.embed import Model
    from soundalike.folders import SoundFile
    from soundalike.speech import Transcript, Voices

Place = tuple[Path, str]
"""A file to write, and its format."""

_FORMATS = ("srt", "vtt", "txt")


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--out", "-o", type=PATH, help="Write to this .srt, .vtt or .txt file; of several FILES, to this folder.")
@click.option(
    "--format", "-f", "kind", type=click.Choice(_FORMATS), envvar="SOUNDALIKE_TRANSCRIBE_FORMAT",
    help="Of --out; by its name, or else srt.",
)  # fmt: skip
@click.option("--times", is_flag=True, help="One word a line, with start and end in seconds and how sure it is.")
@click.option("--force", is_flag=True, help="Of many FILES, also those with a newer transcript in --out.")
@click.option(
    "--model", default="wav2vec2-base-960h", show_default=True, envvar="SOUNDALIKE_TRANSCRIBE_MODEL",
    help="Speech recognizer, by name.",
)  # fmt: skip
@device_option
@workers_option
@json_option
def transcribe(
    files: tuple[Path, ...], out: Path | None, kind: str | None, times: bool, force: bool, model: str, device: str,
    workers: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Write down what is said in FILES, as text or subtitles.

    FILES are sounds of any length, or folders of them. Subtitles, with --out: SubRip (srt) or WebVTT (vtt). A run
    that was broken off goes on where it stopped.
    """
    from soundalike.embed import load_model
    from soundalike.folders import named_sounds

    if times and (as_json or out):
        raise click.UsageError("--times is for the terminal; --json and subtitles have times anyway.")
    sounds = named_sounds(files)
    if not sounds:
        raise click.UsageError(f"no sounds found under {', '.join(shown(path) for path in files)}")
    work = list(zip(sounds, _places(sounds, out, kind), strict=True))
    if len(work) > 1 and not force:
        work = [(sound, place) for sound, place in work if not _is_written(sound.path, place)]
        if n_written := len(sounds) - len(work):
            note(f"{n_written} unchanged since they were written down; --force does them again")
    _run(work, load_model(model, device), workers, times, as_json)


def _run(
    work: list[tuple[SoundFile, Place | None]], model: Model, workers: int | None, times: bool, as_json: bool
) -> None:
    """Transcribe with progress; each is given out as soon as it is done."""
    from soundalike.speech import transcribe_files
    from soundalike.types import Failure

    paths, n_failed, started = [sound.path for sound, _ in work], 0, time.monotonic()
    with progress_bar(round(_length_s(paths)), "transcribing, seconds") as show:

        def on_progress(heard_s: float) -> None:
            show(int(heard_s), f"{heard_s / max(time.monotonic() - started, 1e-3):.0f} x real time")

        results = transcribe_files(paths, model, workers, on_progress=on_progress)
        for result, (_, place) in zip(results, work, strict=True):
            if isinstance(result, Failure):
                n_failed += 1
                say_failed(result, as_json)
            else:
                _give(result, place, times, len(work) > 1, as_json)
    sys.exit(1 if n_failed else 0)


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option(
    "--model", default="wavlm-base-plus-sv", show_default=True, envvar="SOUNDALIKE_SPEAKERS_MODEL",
    help="Speaker model, by name.",
)  # fmt: skip
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Score from which on two voices count as one.")
@device_option
@json_option
def speakers(files: tuple[Path, ...], model: str, threshold: float | None, device: str, as_json: bool) -> None:
    """Say which of FILES have the same speaker; each has one."""
    from soundalike.embed import load_model
    from soundalike.speech import compare_voices

    if len(files) < 2:
        raise click.UsageError("Give at least two sounds: their voices are compared with each other.")
    voices = compare_voices(files, load_model(model, device), same_speaker=threshold)
    for failure in voices.failures:
        say_failed(failure, as_json)
    (_print_pairs if as_json else _show_pairs)(voices)
    sys.exit(1 if voices.failures else 0)


def _is_written(sound: Path, place: Place | None) -> bool:
    """Whether a transcript lies there that is newer than its sound."""
    from soundalike.folders import stamp_of

    return place is not None and stamp_of(place[0]).mtime_ns > stamp_of(sound).mtime_ns > 0


def _length_s(paths: list[Path]) -> float:
    """What the headers of all sounds declare; only looked up where somebody watches the progress."""
    from soundalike import audio

    total = 0.0
    for path in paths if sys.stderr.isatty() else []:
        try:
            total += audio.probe(path).duration_s
        except SoundError:  # will be named when it is read
            continue
    return total


def _places(sounds: list[SoundFile], out: Path | None, kind: str | None) -> Sequence[Place | None]:
    """Where the transcript of each sound goes, and in which format."""
    if out is None:
        if kind:
            raise click.UsageError("--format goes with --out.")
        return [None] * len(sounds)
    suffix = out.suffix[1:].lower()
    if len(sounds) == 1 and not out.is_dir() and (kind or suffix in _FORMATS):
        return [(out, kind or suffix)]
    if suffix in _FORMATS:
        raise click.UsageError(f"{shown(out)} is one file, for {len(sounds)} transcripts: give a folder, and --format.")
    kind = kind or "srt"
    names = [sound.name.with_suffix(f".{kind}") for sound in sounds]  # players look for movie.srt beside movie.mp4
    often = Counter(names)
    return [
        (out / (name if often[name] == 1 else f"{sound.name}.{kind}"), kind)
        for sound, name in zip(sounds, names, strict=True)
    ]


def _give(transcript: Transcript, place: Place | None, times: bool, many: bool, as_json: bool) -> None:
    """Write or print a transcript."""
    from soundalike.speech.writing import record

    for warning in transcript.warnings:
        note(f"note: {shown(transcript.path)}: {warning}")
    if place:
        _write(transcript, *place)
    if as_json:
        print_json(record(transcript))
    elif place:
        note(f"wrote {shown(place[0])}: {len(transcript.words)} words in {clock(transcript.duration_s)}")
    elif times:
        for word in transcript.words:
            name = f"{shown(transcript.path)}\t" if many else ""
            click.echo(f"{name}{word.start_s:.2f}\t{word.end_s:.2f}\t{word.confidence:.2f}\t{word.text}")
    else:
        click.echo(f"{shown(transcript.path)}\t{transcript.text}" if many else transcript.text)


def _write(transcript: Transcript, path: Path, kind: str) -> None:
    from soundalike.export import atomic
    from soundalike.speech.writing import FORMATS

    with atomic(path) as file:
        file.write(FORMATS[kind](transcript).encode())


def _pairs(voices: Voices) -> list[tuple[int, int]]:
    return [(a, b) for a in range(len(voices.paths)) for b in range(a + 1, len(voices.paths))]


def _print_pairs(voices: Voices) -> None:
    for a, b in _pairs(voices):
        print_json({
            "a": shown(voices.paths[a]), "b": shown(voices.paths[b]), "score": float(voices.scores[a, b]),
            "same": voices.same(a, b), "threshold": voices.same_speaker, "model": voices.model,
            "speaker_a": voices.speakers[a], "speaker_b": voices.speakers[b],
        })  # fmt: skip


def _show_pairs(voices: Voices) -> None:
    for a, b in _pairs(voices):
        verdict = "same speaker" if voices.same(a, b) else "another speaker"
        click.echo(f"{voices.scores[a, b]:.4f}  {verdict:<15}  {shown(voices.paths[a])}  {shown(voices.paths[b])}")
    if len(voices.paths) > 2:
        click.echo("")
        for path, speaker in zip(voices.paths, voices.speakers, strict=True):
            click.echo(f"speaker {speaker}  {shown(path)}")
    note(f"{voices.model}: the same speaker from {voices.same_speaker:g} on")
