"""Make the golden words of CTC decoding: random logits, decoded by transformers' tokenizer.

    python tests/golden/make_ctc.py        # needs transformers
"""

from __future__ import annotations

import json
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np

CHARACTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
OUT = Path(__file__).parent / "ctc"


def draw(seed: int) -> list[int]:
    """Characters of 150 frames: runs, blanks between some of them, delimiters, doubled letters."""
    rng = np.random.default_rng(seed)
    shares = np.full(len(CHARACTERS), 1.0)
    shares[0], shares[4] = 20.0, 6.0
    runs = rng.choice(len(CHARACTERS), 60, p=shares / shares.sum())
    ids: list[int] = np.repeat(runs, rng.integers(1, 5, 60))[:150].tolist()
    return ids


def main() -> None:
    transformers = import_module("transformers")
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.json"
        vocabulary.write_text(json.dumps({character: i for i, character in enumerate(CHARACTERS)}))
        tokenizer = transformers.Wav2Vec2CTCTokenizer(str(vocabulary))
        cases = []
        for seed in range(20):
            ids = draw(seed)
            words = tokenizer.decode(ids, output_word_offsets=True).word_offsets
            spans = [[w["word"], int(w["start_offset"]), int(w["end_offset"])] for w in words]
            cases.append({"ids": ids, "words": spans})
    OUT.mkdir(exist_ok=True)
    (OUT / "transformers.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    provenance = {"transformers": transformers.__version__, "command": "python tests/golden/make_ctc.py"}
    (OUT / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main()
