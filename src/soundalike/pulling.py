"""Published models onto this machine, and off it: fetched, made ready, tried, and only then kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import orjson

from soundalike.embed import Model
from soundalike.errors import MissingExtra, ModelError
from soundalike.models import hub
from soundalike.models.card import Download, ModelCard
from soundalike.models.cards import MANIFEST, card_of, folder_of, is_here
from soundalike.models.convert import Precision, convert
from soundalike.selftest import EXAMPLES
from soundalike.types import F32

DOWNLOADS = "download"  # inside a model's folder, until the model is ready
Step = Literal["fetching", "converting", "trying"]
OnStep = Callable[[Step, str, int, int], None]  # what, of which file, bytes that are here, of how many
TRIED = {  # example sounds, and words that fit each and no other
    "animals/dog-barking.mp3": "a dog barking",
    "nature/rain-heavy.opus": "heavy rain",
    "instruments/piano-notes.ogg": "a piano",
    "voices/applause-long.opus": "people clapping",
    "home/glass-shattering.ogg": "glass breaking",
    "vehicles/steam-train-whistle.ogg": "a train whistle",
    "animals/rooster-crowing.ogg": "a rooster crowing",
    "voices/woman-speaking-russian.wav": "a woman speaking",
}
MOST_ALIKE = 0.9995  # cosine of two unlike sounds, or descriptions, from which a model tells nothing apart
LEAST_RIGHT = 4  # of the sounds, whose own words must be the nearest; by chance it is one


def pull(
    name: str,
    source: Path | None = None,
    precision: Precision = "fp32",
    on_step: OnStep = lambda step, file, done, total: None,
) -> ModelCard:
    """Get a published model, make it ready and try it; its card, with the files that there are now.

    Parameters
    ----------
    source : folder with a copy of its files, in place of the network
    precision : of networks that are converted here

    Raises
    ------
    ModelError
        if a file cannot be had or is not the right one, or the model fails when it is tried; nothing is kept then
        but finished downloads
    MissingExtra
        if it has to be converted, and torch is not here; nothing is fetched then
    """
    card = card_of(name)
    if card.source is None or is_here(card):
        return card
    require(card)
    folder = folder_of(card)
    for download in card.source.files:
        path = _got(download, folder / DOWNLOADS, source, on_step)
        on_step("fetching", download.name, path.stat().st_size, path.stat().st_size)
    if card.source.ready:
        _take(card, folder)  # an error above leaves the downloads, with which the next call goes on
    else:
        on_step("converting", card.name, 0, 0)
        convert(card, folder / DOWNLOADS, folder, precision)
    on_step("trying", card.name, 0, 0)
    _tried(card.name, folder)
    shutil.rmtree(folder / DOWNLOADS, ignore_errors=True)
    return card_of(card.name)


def require(card: ModelCard) -> None:
    """Look for what making a model ready needs.

    Raises
    ------
    MissingExtra
        if it has to be converted, and torch is not here
    """
    if card.source is not None and not card.source.ready and find_spec("torch") is None:
        raise MissingExtra("torch", "convert")


def remove(name: str) -> Path:
    """Take a model off this machine; the folder that is gone.

    Raises
    ------
    ModelError
        if it is not here, or comes with the package
    """
    card = card_of(name)
    folder = folder_of(card)
    if card.source is None:
        raise ModelError(f"{card.name} comes with the package: there is nothing to remove.")
    if not folder.is_dir():
        raise ModelError(f"{card.name} is not on this machine.")
    shutil.rmtree(folder)
    return folder


def check(model: Model) -> Iterator[str]:
    """What is wrong with a model, in words; nothing if all is well.

    Vectors must be finite and unlike for unlike sounds, and the same for the same; words must be told apart, and half
    of eight sounds be nearest to their own words.
    """
    try:
        sounds = np.stack([model.embed_file(EXAMPLES / name).vector for name in TRIED])
        again = model.embed_file(EXAMPLES / next(iter(TRIED))).vector
    except ModelError as error:
        yield f"it cannot be run on sounds: {error}"
        return
    if not np.array_equal(again, sounds[0]):
        yield "the same sound gives another vector the second time"
    if _nearest(sounds) > MOST_ALIKE:
        yield f"unlike sounds have nearly the same vectors (cosine {_nearest(sounds):.5f})"
    if model.card.text is None:
        return
    words = model.embed_text(list(TRIED.values()))
    if _nearest(words) > MOST_ALIKE:
        yield f"unlike words have nearly the same vectors (cosine {_nearest(words):.5f})"
    right = int((np.argmax(sounds @ words.T, axis=1) == np.arange(len(sounds))).sum())
    if right < LEAST_RIGHT:
        yield f"of {len(TRIED)} sounds, {right} are nearest to their own words; by chance it is one"


def _got(download: Download, folder: Path, source: Path | None, on_step: OnStep) -> Path:
    if (folder / download.name).is_file():
        return folder / download.name
    if source is None:
        return hub.fetch(download, folder, lambda done, total: on_step("fetching", download.name, done, total))
    last = Path(download.name).name
    names = (download.name, download.address.rsplit("/", 1)[-1].replace("%3D", "="), last)
    found = next((path for name in names for path in sorted(source.rglob(name)) if path.is_file()), None)
    if found is None:
        raise ModelError(f"{source}: {' or '.join(dict.fromkeys(names))} is not in this folder")
    return hub.copy(found, download, folder)


def _take(card: ModelCard, folder: Path) -> None:
    """Put networks that run as they are in place."""
    assert card.source is not None
    files = []
    for download in card.source.files:
        path = folder / download.name
        (folder / DOWNLOADS / download.name).replace(path)
        files.append(hub.described(path, folder))
    addresses = {download.name: download.address for download in card.source.files}
    manifest = {"name": card.name, "files": [asdict(file) for file in files], "addresses": addresses}
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    part.replace(folder / MANIFEST)


def _tried(name: str, folder: Path) -> None:
    try:
        wrong = list(check(Model(card_of(name))))
    except ModelError as error:
        wrong = [str(error)]
    if wrong:
        (folder / MANIFEST).unlink(missing_ok=True)
        raise ModelError(f"{name}: refused, because {'; '.join(wrong)}. To remove it: soundalike models remove {name}")


def _nearest(vectors: F32) -> float:
    """Largest cosine between two different rows."""
    cosines = vectors @ vectors.T
    return float(cosines[~np.eye(len(vectors), dtype=bool)].max())
