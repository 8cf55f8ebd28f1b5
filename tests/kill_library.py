"""Work on a library until killed, saying what is on disk; and check what is left. For test_library_kill.py.

python kill_library.py work FOLDER SEED     prints "+ NAME" and "- NAME" for each acknowledged change
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from soundalike.library import Library, Progress, caches, ingest, ranking
from soundalike.types import Embedding
from tiny_model import TinyModel

OTHER = TinyModel("other")


def small_steps() -> None:
    """Many commits and many index builds in a short life."""
    ingest.COMMIT_SOUNDS = 3
    caches.GROW_ROWS = 20
    caches.CHECKPOINT_ROWS = 15
    caches.APPEND_ROWS = 5
    ranking.EXACT_ROWS = 30


def say(sign: str, name: str) -> None:
    sys.stdout.write(f"{sign} {name}\n")
    sys.stdout.flush()


def work(folder: Path, seed: int) -> None:
    """Add, remove, rebuild, build indexes, at random."""
    small_steps()
    rng = np.random.default_rng(seed)

    def on_progress(progress: Progress) -> None:
        if isinstance(progress.last, Embedding):
            say("+", progress.last.path.name)

    with Library.create(folder / "library", model_of(folder)) as library:
        say("!", "ready")
        for step in range(10_000):
            what = rng.integers(0, 8)
            if what < 5:
                paths = []
                for number in range(int(rng.integers(1, 12))):
                    paths.append(folder / "sounds" / f"{seed}-{step}-{number}.wav")
                    paths[-1].write_text(f"{seed} {step} {number}\nmore")
                library.add(paths, on_progress=on_progress)
            elif what == 5:
                names = [sound.path for sound in library.sounds()]
                for path in rng.permutation(np.array([str(name) for name in names]))[:5]:
                    say("?", Path(path).name)  # may or may not be there, if this is the end
                    library.remove([path])
                    say("-", Path(path).name)
            elif what == 6:
                library.build_index()
            elif library.status().n_sounds < 400:
                library.rebuild(OTHER if library.status().model == "tiny" else TinyModel())


def model_of(folder: Path) -> TinyModel:
    """The model that the library has just now."""
    if (folder / "library" / "library.db").exists():
        with Library.open(folder / "library") as library:
            return OTHER if library.status().model == "other" else TinyModel()
    return TinyModel()


if __name__ == "__main__":
    work(Path(sys.argv[2]), int(sys.argv[3]))
