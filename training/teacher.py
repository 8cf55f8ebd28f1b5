"""What the frozen teacher hears in every clip of the corpus: pooled features, hidden layer, logits.

    python training/teacher.py CLIPS TEACHER.pt OUT

CLIPS is the folder that corpus.py decoded into; OUT receives parts of 500 clips as .npz. A second run does what is new.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from networks import Backbone, load_teacher
from soundalike.encoder import features_of
from soundalike.models.cards import POCKET
from soundalike.segments import split

PART = 500
SPLIT = POCKET.segments
Row = dict[str, Any]


class Clips:
    """The decoded corpus: rows of its index, samples by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder / "index.jsonl").open() as lines:
            self.rows: list[Row] = [json.loads(line) for line in lines]
        self._shards: dict[str, np.ndarray] = {}

    def samples(self, row: Row) -> np.ndarray:
        """Mono float32 at 32 kHz."""
        name = row["shard"]
        if name not in self._shards:
            self._shards[name] = np.load(self.folder / name, mmap_mode="r")
        part = self._shards[name][row["start"] : row["start"] + row["n_samples"]]
        scale = 1 / 32768 if part.dtype == np.int16 else 1.0
        return part.astype(np.float32) * np.float32(scale)


def hear(model: Backbone, samples: np.ndarray) -> list[np.ndarray] | None:
    """Mean of the teacher's three outputs over the segments of a clip; None if it is silent."""
    outputs = []
    for segment in split([samples], SPLIT, POCKET.sample_rate):
        mel = torch.from_numpy(features_of(segment.samples, POCKET))
        with torch.no_grad():
            outputs.append([out[0].numpy() for out in model(mel[None])])
    return [np.mean(parts, 0) for parts in zip(*outputs, strict=True)] if outputs else None


def done_ids(out: Path) -> set[str]:
    """Clips that an earlier run has heard."""
    return {str(i) for part in out.glob("part-*.npz") for i in np.load(part)["ids"]}


def parts(clips: Clips, model: Backbone, skip: set[str]) -> Iterator[dict[str, np.ndarray]]:
    """Results, `PART` clips at a time."""
    order = {"effects": 0, "music": 1, "speech": 2, "instruments": 3}
    rows = sorted(clips.rows, key=lambda row: order.get(row["group"], 4))
    waiting = (row for row in rows if row["id"] not in skip)
    while rows := list(islice(waiting, PART)):
        heard = [(row["id"], hear(model, clips.samples(row))) for row in rows]
        ids = np.array([i for i, outputs in heard])
        kept = np.array([outputs is not None for i, outputs in heard])
        arrays = [np.stack([o[k] for i, o in heard if o is not None]).astype(np.float16) for k in range(3)]
        yield {"ids": ids, "kept": kept, "pooled": arrays[0], "hidden": arrays[1], "logits": arrays[2]}


def load_heard(clips: Clips, out: Path) -> dict[str, np.ndarray]:
    """Return what was heard in the clips of the index: ids (n,), pooled (n, 384), hidden (n, 512), logits (n, 527)."""
    files = [np.load(part) for part in sorted(out.glob("part-*.npz"))]
    ids = np.concatenate([f["ids"][f["kept"]] for f in files])
    wanted = np.isin(ids, [row["id"] for row in clips.rows])
    names = ("pooled", "hidden", "logits")
    return {"ids": ids[wanted]} | {n: np.concatenate([f[n] for f in files])[wanted].astype(np.float32) for n in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    done = done_ids(args.out)
    first = len(list(args.out.glob("part-*.npz")))
    for n, part in enumerate(parts(Clips(args.clips), load_teacher(args.teacher), done), first):
        np.savez(args.out / f"part-{n:05}.npz", **part)
        print(f"part {n}: {part['kept'].sum()} of {part['kept'].size} clips heard", flush=True)


if __name__ == "__main__":
    main()
