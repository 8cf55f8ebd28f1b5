"""What people type: the rank of the first right sound for each of 100 queries over the example sounds.

    python benchmarks/queries.py [--model pocket] [--json OUT.json]

queries.tsv was written before any model answered it. It has a query and the examples that answer it, in any order.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

import soundalike
from soundalike.folders import find_sounds
from soundalike.selftest import EXAMPLES
from soundalike.types import Embedding

QUERIES = Path(__file__).parent / "queries.tsv"


def read_queries() -> dict[str, set[str]]:
    """Right answers by query."""
    with QUERIES.open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["query"]: set(row["right answers"].split(",")) for row in rows}


def ranks(model: soundalike.Model, queries: dict[str, set[str]]) -> dict[str, int]:
    """Rank of the first right sound, from 1, by query."""
    names = {sound.path: sound.name.as_posix() for sound in find_sounds([EXAMPLES])}
    found = [result for result in model.embed_files(names) if isinstance(result, Embedding)]
    order = np.argsort(-model.embed_text(list(queries)) @ np.stack([one.vector for one in found]).T, kind="stable")
    return {
        query: 1 + next(place for place, row in enumerate(rows) if names[found[row].path] in right)
        for (query, right), rows in zip(queries.items(), order.tolist(), strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = ranks(soundalike.load_model(args.model), read_queries())
    for query, rank in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"{rank:>3}  {query}")
    values = np.array(list(found.values()))
    summary = {f"right_in_first_{k}": int((values <= k).sum()) for k in (1, 3, 10)} | {"queries": values.size}
    summary |= {"mean_reciprocal_rank": round(float((1 / values).mean()), 4)}
    print("  ".join(f"{name} {value}" for name, value in summary.items()))
    if args.json:
        args.json.write_text(json.dumps(summary | {"ranks": found}, indent=1))


if __name__ == "__main__":
    main()
