"""Killed (-9) at any moment, a library opens with every acknowledged sound in it once, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from kill_library import model_of
from soundalike.errors import LibraryError
from soundalike.library import Library

WORKER = Path(__file__).parent / "kill_library.py"


def live_and_die(folder: Path, seed: int, life_s: float) -> list[str]:
    """Run a worker for some time after it is ready, and kill it; what it said."""
    command = [sys.executable, str(WORKER), "work", str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        first = worker.stdout.readline()
        time.sleep(life_s)
        ended = worker.poll()
        worker.kill()
        said = [first, *worker.stdout]
        assert ended is None, worker.stderr.read()
    return [line.strip() for line in said if line.endswith("\n")]


def follow(known: dict[str, str], said: list[str]) -> None:
    """What must be there ("+"), must not ("-"), and may or may not ("?")."""
    for line in said:
        sign, _, name = line.partition(" ")
        if sign in "+-?":
            known[name] = sign


def check(folder: Path, known: dict[str, str]) -> int:
    """Compare a library with what was acknowledged; how many sounds it has."""
    try:
        library = Library.open(folder / "library", model_of(folder))
    except LibraryError:  # killed before it was made
        assert not [name for name, sign in known.items() if sign == "+"]
        return 0
    with library:
        names = [sound.path.name for sound in library.sounds()]
        assert len(names) == len(set(names))
        assert not {name for name, sign in known.items() if sign == "+"} - set(names)
        assert not {name for name, sign in known.items() if sign == "-"} & set(names)
        ids, vectors = library.vectors()
        assert len(ids) == len(names)
        for sound in list(library.sounds())[::7]:
            expected = library.model.embed_file(sound.path)
            assert np.array_equal(vectors[ids == sound.id][0], expected.vector)
            assert len(library.segments(sound.id)[0]) == sound.n_segments == 2
        for exact in (True, False):
            for segments in (True, False):
                answer = library.search(text="1 2 3", n=30, exact=exact, segments=segments)
                assert len(answer) == min(30, len(names))
        for name in names:  # what was written but not acknowledged is settled now
            known[name] = "+"
        for name in [name for name, sign in known.items() if sign == "?"]:
            known[name] = "+" if name in names else "-"
        return len(names)


def kill_often(folder: Path, n_kills: int, seed: int = 0) -> int:
    """Kill a worker again and again on one library; how many sounds it ended with."""
    (folder / "sounds").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    known: dict[str, str] = {}
    n_sounds = 0
    for number in range(n_kills):
        said = live_and_die(folder, number, float(rng.uniform(0.0, 1.0)))
        follow(known, said)
        n_sounds = check(folder, known)
    return n_sounds


def test_three_kills(tmp_path: Path) -> None:
    assert kill_often(tmp_path, 3) > 0


@pytest.mark.slow
def test_many_kills(tmp_path: Path) -> None:
    """Twenty, or as many as KILLS says; a hundred take some minutes."""
    assert kill_often(tmp_path, int(os.environ.get("KILLS", "20")), seed=1) > 0
