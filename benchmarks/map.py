"""How good is the map? Ours against PCA, openTSNE, UMAP and PaCMAP on the same vectors in the same run.

    pip install openTSNE umap-learn pacmap          # those that are there are compared
    python benchmarks/map.py LIBRARY… [--rows N] [--json OUT.json]

LIBRARY: a library whose sounds lie in a folder for each class. With --rows, made-up vectors of 2,000 clusters (those
of benchmarks/library.py) too. Columns: kept, the share of each sound's 15 nearest neighbors by cosine that are among
the 15 nearest on the map; trust, scikit-learn's trustworthiness with 15 neighbors (at most 5,000 sounds); pure, the
share of the 10 nearest on the map that lie in the same folder; new, the same for the half of the sounds that a map of
the other half has never seen; again, whether a second run gives the same numbers; cpu_s, process time of one run
(numba's compilation is paid by a run before). Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from library import Mixture  # benchmarks/library.py
from soundalike.library import Library
from soundalike.map2d import layout
from soundalike.map2d.neighbors import neighbors

K, N_ASKED = 15, 2000
Array = np.ndarray
Fit = Callable[[Array], tuple[Array, Callable[[Array], Array] | None]]


def ours(vectors: Array) -> Any:
    laid = layout(vectors)
    return laid.positions, laid.transform


def pca(vectors: Array) -> Any:
    from sklearn.decomposition import PCA

    solver = PCA(2, random_state=0).fit(vectors)
    return solver.transform(vectors), solver.transform


def opentsne(vectors: Array) -> Any:
    from openTSNE import TSNE

    places = TSNE(metric="cosine", random_state=0, n_jobs=1).fit(vectors)
    return np.asarray(places), lambda new: np.asarray(places.transform(new))


def umap(vectors: Array) -> Any:
    from umap import UMAP

    solver = UMAP(metric="cosine", random_state=0, n_jobs=1).fit(vectors)
    return solver.embedding_, solver.transform


def pacmap(vectors: Array) -> Any:
    from pacmap import PaCMAP

    solver = PaCMAP(random_state=0, save_tree=True)
    return solver.fit_transform(vectors), lambda new: solver.transform(new, basis=vectors)


FITS: dict[str, tuple[Fit, str]] = {
    "ours": (ours, "numpy"), "PCA": (pca, "sklearn"), "openTSNE": (opentsne, "openTSNE"), "UMAP": (umap, "umap"),
    "PaCMAP": (pacmap, "pacmap"),
}  # fmt: skip


def kept(vectors: Array, places: Array) -> float:
    asked = np.random.default_rng(0).permutation(len(vectors))[:N_ASKED]
    real = neighbors(vectors, vectors[asked], K + 1)[:, 1:]
    seen = neighbors(places, places[asked], K + 1)[:, 1:]
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(real.tolist(), seen.tolist(), strict=True)]))


def pure(places: Array, labels: Array, asked: Array, wanted: Array, *, skip: int = 0) -> float:
    near = neighbors(places, asked, 10 + skip)[:, skip:]
    return float((labels[near] == wanted[:, None]).mean())


def measure(fit: Fit, vectors: Array, labels: Array) -> dict[str, Any]:
    from sklearn.manifold import trustworthiness

    half = np.random.default_rng(0).permutation(len(vectors)) % 2 == 0
    small, place = fit(vectors[half])  # compiles, too
    small = np.asarray(small, np.float32)
    cpu = time.process_time()
    places = np.asarray(fit(vectors)[0], np.float32)
    cpu = time.process_time() - cpu
    row: dict[str, Any] = {"kept": kept(vectors, places)}
    if len(vectors) <= 5000:
        row["trust"] = float(trustworthiness(vectors, places, n_neighbors=K, metric="cosine"))
        row["again"] = bool(np.array_equal(places, np.asarray(fit(vectors)[0], np.float32)))
    row["pure"] = pure(places, labels, places, labels, skip=1)
    if place is not None:
        new = np.asarray(place(vectors[~half]), np.float32)
        row["new"] = pure(small, labels[half], new, labels[~half])
    return {**row, "cpu_s": cpu}


def collections(paths: list[Path], n_rows: int) -> Any:
    for path in paths:
        with Library.open(path) as library:
            ids, vectors = library.vectors()
            folders = {sound.id: sound.path.parent for sound in library.sounds()}
        yield path.name, vectors, np.unique([str(folders[i]) for i in ids.tolist()], return_inverse=True)[1]
    if n_rows:
        mixture = Mixture()
        vectors = mixture.draw(n_rows)
        yield f"{n_rows:,} made-up vectors", vectors, (vectors @ mixture.centers.T).argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", nargs="*", type=Path)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    everything = {}
    for name, vectors, labels in collections(args.libraries, args.rows):
        print(f"\n{name}: {len(vectors):,} vectors")
        everything[name] = {}
        for way, (fit, package) in FITS.items():
            if importlib.util.find_spec(package) is None:
                continue
            row = everything[name][way] = measure(fit, vectors, labels)
            cells = [f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
            print(f"  {way:9}" + "  ".join(cells), flush=True)
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
