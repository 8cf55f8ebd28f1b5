"""How fast and how right a library is, at 100,000 and 1,000,000 made-up sounds.

    python benchmarks/library.py [--rows 100000] [--folder /tmp] [--json out.json] [--no-index]
    python benchmarks/library.py --rows 1000000 --keep /tmp/million     # made once, measured as often as you like

The vectors are a mixture of 2,000 clusters with Zipf sizes, each with its own few directions, on the unit sphere: a
world of sounds with neighbours. Questions are drawn from the same mixture and are not in the library. All timings
are whole calls of `Library.search` (filters, ranking, what is known of each sound), in one process; arithmetic runs
on one thread if OMP_NUM_THREADS=1 is set, as it should be. "cpu_p50" is processor time: what counts on a busy
machine. "ranking" is the median of that part of a call that finds the nearest, without what is known of the sounds.
"anonymous" is anonymous memory (RssAnon), Linux only.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from soundalike.folders import Stamp
from soundalike.library import Filters, Library
from soundalike.library.database import writer_lock
from soundalike.library.finder import current_space
from soundalike.library.ranking import rank
from soundalike.library.store import path_bytes
from soundalike.library.values import Space
from soundalike.library.writer import Facts, Writer
from soundalike.models.cards import POCKET
from soundalike.types import F32, Embedding

DIM, N_CENTERS, N_QUERIES, N_RESULTS = 512, 2000, 200, 20
EFFORTS = (30, 40, 48, 64, 96, 128, 192, 256)


class Nobody:
    """Stands for a model whose vectors are made up."""

    card = POCKET
    pipeline = "benchmark"


class Mixture:
    """Vectors with neighbours."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        subspace = self.rng.normal(size=(96, DIM)) / np.sqrt(DIM)
        self.centers = (self.rng.normal(size=(N_CENTERS, 96)) @ subspace).astype(np.float32)
        shares = 1.0 / np.arange(1, N_CENTERS + 1) ** 0.8
        self.shares = shares / shares.sum()
        spectrum = (0.92 ** np.arange(48)).astype(np.float32)
        self.directions = self.rng.normal(size=(64, 48, DIM)).astype(np.float32) / np.sqrt(DIM)
        self.directions *= spectrum[:, None] * 1.6

    def draw(self, n: int, seed: int | None = None) -> F32:
        """Some unit vectors ``(n, DIM)``: the next ones, or those of a seed."""
        rng = self.rng if seed is None else np.random.default_rng(seed)
        which = rng.choice(N_CENTERS, n, p=self.shares)
        vectors = self.centers[which] + 0.15 * rng.normal(size=(n, DIM)).astype(np.float32)
        weights = rng.normal(size=(n, 48)).astype(np.float32)
        for kind in range(64):
            rows = which % 64 == kind
            vectors[rows] += weights[rows] @ self.directions[kind]
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def fill(folder: Path, n_rows: int, mixture: Mixture) -> dict[str, float]:
    """Make a library; rows per second, with a commit every 1,000."""
    rng, took, cpu = np.random.default_rng(1), 0.0, 0.0
    with Library.create(folder, Nobody()):  # type: ignore[arg-type]
        space = Space(1, POCKET.name, POCKET.level, Nobody.pipeline, DIM)
    with writer_lock(folder, "benchmark"), closing(Writer(folder)) as writer:
        for first in range(0, n_rows, 1000):
            vectors, durations = mixture.draw(1000), rng.lognormal(0.5, 1.2, 1000)
            start, start_cpu = time.perf_counter(), time.process_time()
            with writer.transaction():
                for i, vector in enumerate(vectors):
                    put(writer, space, first + i, vector, float(durations[i]))
            took += time.perf_counter() - start
            cpu += time.process_time() - start_cpu
    return {"insert_rows_per_s": n_rows / took, "insert_rows_per_cpu_s": n_rows / cpu}


def put(writer: Writer, space: Space, number: int, vector: F32, duration_s: float) -> None:
    path = f"/sounds/{number % 500:03}/{number}.wav"
    none = np.empty((0, DIM), np.float32), np.empty((0, 2))
    embedding = Embedding(Path(path), vector, *none, duration_s, 44_100, 2, f"{number:064}", "", space.pipeline)
    writer.put(path_bytes(path), Stamp(number, 0), embedding, Facts("wav", "pcm_s16le"), space)


def anonymous_mb() -> float:
    """Anonymous memory of this process."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), float("nan"))


def open_fresh(folder: Path, query: F32, results: Any) -> None:
    """In a new process: time and memory until the first answers."""
    before, start = anonymous_mb(), time.perf_counter()
    with Library.open(folder) as library:
        library.search(query)
        took, memory = time.perf_counter() - start, anonymous_mb()
        library.search(query, filters=Filters(min_s=1.0, max_s=1.01))
    results.put({"open_and_first_search_s": took, "anonymous_mb": memory, "of_that_before_opening_mb": before})


def ask(queries: F32, search: Callable[[F32], Any]) -> tuple[list[Any], dict[str, float]]:
    answers, times, cpu = [], [], []
    for query in queries:
        start, start_cpu = time.perf_counter(), time.thread_time()
        answers.append(search(query))
        cpu.append((time.thread_time() - start_cpu) * 1e3)
        times.append((time.perf_counter() - start) * 1e3)
    p50, p95, cpu_p50 = np.percentile(times, 50), np.percentile(times, 95), np.percentile(cpu, 50)
    return answers, {"p50_ms": float(p50), "p95_ms": float(p95), "cpu_p50_ms": float(cpu_p50)}


def recall(answers: list[Any], truth: list[Any]) -> float:
    pairs = zip(answers, truth, strict=True)
    return float(np.mean([sum(m.score >= t[-1].score - 1e-9 for m in a) / len(t) for a, t in pairs]))


def measure(folder: Path, queries: F32, with_index: bool) -> Iterator[dict[str, Any]]:
    """Rows of the table."""
    with Library.open(folder) as library:
        library.search(queries[0], exact=True)
        truth, times = ask(queries[:50], lambda query: library.search(query, exact=True))
        ids, vectors = library.vectors()
        brute = [set(ids[np.argsort(-(vectors @ query), kind="stable")[:N_RESULTS]].tolist()) for query in queries[:20]]
        same = np.mean([len({m.sound.id for m in a} & b) / N_RESULTS for a, b in zip(truth, brute, strict=False)])
        yield {"what": "exact", "recall": float(same), **times}
        del vectors
        durations = np.sort([sound.duration_s for sound in library.sounds()]) if len(ids) <= 200_000 else None
        yield filtered(library, queries, len(ids), durations)
        if with_index:
            for effort in EFFORTS:
                found, times = ask(queries[:50], lambda q, e=effort: library.search(q, exact=False, effort=e))  # type: ignore[misc]
                _, times = ask(queries, lambda q, e=effort: library.search(q, exact=False, effort=e))  # type: ignore[misc]
                _, alone = ask(queries, lambda q, e=effort: ranking(library, q, e))  # type: ignore[misc]
                row = {"what": f"effort {effort}", "recall": recall(found, truth), **times}
                yield row | {"ranking_ms": alone["p50_ms"]}


def ranking(library: Library, query: F32, effort: int) -> Any:
    """Part of a search that finds the nearest: index, and full vectors of its candidates; not what is known of them."""
    view = library._finder.view(current_space(library._store), "sounds")
    return rank(view, query, N_RESULTS, exact=False, effort=effort)


def filtered(library: Library, queries: F32, n_rows: int, durations: Any) -> dict[str, Any]:
    """A filter that keeps 1 %, another one for each question, against all that pass it."""
    quantiles = np.quantile(np.random.default_rng(1).lognormal(0.5, 1.2, 100_000), np.linspace(0.05, 0.94, 100))
    steps = np.quantile(np.random.default_rng(2).lognormal(0.5, 1.2, 100_000), np.linspace(0.06, 0.95, 100))
    filters = [Filters(min_s=float(a), max_s=float(b)) for a, b in zip(quantiles, steps, strict=True)]
    turns = iter(filters)
    found, times = ask(queries[: len(filters)], lambda query: library.search(query, filters=next(turns)))
    right = []
    for query, filter_, answer in list(zip(queries, filters, found, strict=False))[:10]:
        ids, vectors = library.vectors(library.ids(filter_))
        right.append(set(ids[np.argsort(-(vectors @ query))[:N_RESULTS]].tolist()) == {m.sound.id for m in answer})
    share = float(np.mean([answer.n_passed for answer in found])) / n_rows
    return {"what": f"filter that keeps {share:.1%}", "recall": float(np.mean(right)), **times}


def serve(folder: Path, asked: Any, answered: Any) -> None:
    """Another process: search when told to, until the newest sound is first."""
    with Library.open(folder) as library:
        while (query := asked.get()) is not None:
            answer = library.search(query, n=1)
            answered.put((time.time(), float(answer[0].score)))


def measure_visible(folder: Path, vectors: F32, n_rows: int) -> dict[str, float]:
    """From handing over one sound to another process's answer that has it."""
    asked, answered = multiprocessing.Queue(), multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(folder, asked, answered))
    process.start()
    asked.put(vectors[0])
    answered.get()
    space, times, written = Space(1, POCKET.name, POCKET.level, Nobody.pipeline, DIM), [], []
    with writer_lock(folder, "benchmark"), closing(Writer(folder)) as writer:
        for i, vector in enumerate(vectors):
            start = time.time()
            with writer.transaction():
                put(writer, space, n_rows + i, vector, 1.0)
            written.append(time.time() - start)
            asked.put(vector)
            at, score = answered.get()
            assert score > 0.999
            times.append(at - start)
    asked.put(None)
    process.join()
    return {
        "upsert_durable_p50_ms": float(np.median(written)) * 1e3,
        "upsert_visible_p50_ms": float(np.median(times)) * 1e3,
        "upsert_visible_p95_ms": float(np.percentile(times, 95)) * 1e3,
    }


def prepare(n_rows: int, folder: Path, mixture: Mixture, with_index: bool) -> dict[str, Any]:
    """Make what is not there yet: the library, its flat files, its index; what each of them took."""
    kept = folder / "made.json"
    made: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if not made:
        made = {"rows": n_rows, **fill(folder / "library", n_rows, mixture)}
        kept.write_text(json.dumps(made))
    with Library.open(folder / "library") as library:
        start = time.perf_counter()
        library.search(mixture.draw(1, seed=1)[0])
        made.setdefault("flat_files_s", time.perf_counter() - start)
        if with_index and not library.status().n_indexed:
            start, cpu = time.perf_counter(), time.process_time()
            library.build_index()
            made["index_s"], made["index_cpu_s"] = time.perf_counter() - start, time.process_time() - cpu
    kept.write_text(json.dumps(made))
    return made


def run(n_rows: int, folder: Path, with_index: bool) -> dict[str, Any]:
    mixture = Mixture()
    facts = prepare(n_rows, folder, mixture, with_index)
    queries, folder = mixture.draw(N_QUERIES, seed=2), folder / "library"
    results: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=open_fresh, args=(folder, queries[0], results))
    process.start()
    facts |= results.get()
    process.join()
    facts["searches"] = list(measure(folder, queries, with_index))
    facts |= measure_visible(folder, mixture.draw(50, seed=time.time_ns()), n_rows)
    facts["files_mb"] = {path.name: round(path.stat().st_size / 1e6) for path in folder.rglob("*") if path.is_file()}
    return facts


def show(facts: dict[str, Any]) -> None:
    print(f"\n{facts['rows']:,} sounds")
    for row in facts["searches"]:
        names = [name for name in ("p50", "p95", "cpu_p50", "ranking") if f"{name}_ms" in row]
        times = "   ".join(f"{name} {row[name + '_ms']:8.2f} ms" for name in names)
        print(f"  {row['what']:<26} recall {row['recall']:.4f}   {times}")
    for name, value in facts.items():
        if isinstance(value, float):
            print(f"  {name:<28} {value:10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--folder", type=Path, help="where to put the libraries; about 6 KB for each row")
    parser.add_argument("--keep", type=Path, help="make the library here if it is not there, and leave it")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-index", action="store_true")
    args = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    everything = []
    for n_rows in args.rows or [100_000, 1_000_000]:
        folder = args.keep or Path(tempfile.mkdtemp(prefix="soundalike-bench-", dir=args.folder))
        try:
            folder.mkdir(exist_ok=True)
            everything.append(run(n_rows, folder, not args.no_index))
        finally:
            if not args.keep:
                shutil.rmtree(folder)
        show(everything[-1])
        if args.json:
            args.json.write_text(json.dumps(everything, indent=1))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
