"""A library of real sounds: exact search against brute force, the index against exact search, retrieval by class.

    python benchmarks/library_real.py FOLDER [--library WHERE] [--model pocket]

If FOLDER holds a folder per class, every sound asks for the others through `Library.search`, and mAP and P@1 of these
answers are put beside those that `benchmarks/quality.py` computes from the vectors of the model itself.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import soundalike
from quality import average_precision, embed_folder, retrieval
from soundalike.library import Library
from soundalike.library.measure import measure_index

N_QUERIES, N_RESULTS = 200, 20


def exact_is_brute_force(library: Library) -> float:
    """Share of the queries whose answer is brute force's, in the same order."""
    ids, vectors = library.vectors()
    rows = np.random.default_rng(0).permutation(len(ids))[:N_QUERIES]
    right = 0
    for row in rows:
        scores = vectors.astype(np.float64) @ vectors[row].astype(np.float64)
        expected = ids[np.lexsort((ids, -np.round(scores, 12)))[:N_RESULTS]].tolist()
        right += [match.sound.id for match in library.search(vectors[row], n=N_RESULTS, exact=True)] == expected
    return right / len(rows)


def by_class(library: Library, folder: Path) -> dict[str, float]:
    """MAP and P@1 of the answers of a library: each sound asks for all others."""
    sounds = list(library.sounds())
    precisions, firsts = [], []
    for sound in sounds:
        answer = library.search(sound.path, n=len(sounds))
        same = np.array([_label(match.path, folder) == _label(sound.path, folder) for match in answer])
        if same.any():
            precisions.append(average_precision(same))
            firsts.append(same[0])
    return {"map": float(np.mean(precisions)), "p_at_1": float(np.mean(firsts))}


def _label(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--library", type=Path, help="keep it here; by default it is thrown away")
    parser.add_argument("--model", default="pocket")
    args = parser.parse_args()
    folder = args.folder.absolute()
    with TemporaryDirectory() as temporary, Library.create(args.library or temporary, args.model) as library:
        start, cpu = time.perf_counter(), time.process_time()
        done = library.add([folder])
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(f"{done.n_added} sounds, {done.sound_s / 60:.0f} min, in {took:.0f} s, {cpu:.0f} s of processor time")
        print(f"exact search is brute force: {exact_is_brute_force(library):.1%} of {N_QUERIES} answers")
        for row in measure_index(library, n_queries=N_QUERIES, n=N_RESULTS, build=True):
            print(row)
        if all(sound.path.parent != folder for sound in library.sounds()):
            vectors, labels, _ = embed_folder(soundalike.load_model(args.model), folder)
            for name, scores in (("library", by_class(library, folder)), ("model", retrieval(vectors, labels))):
                print(f"{name:<8} mAP {scores['map']:.4f}  P@1 {scores['p_at_1']:.4f}")


if __name__ == "__main__":
    main()
