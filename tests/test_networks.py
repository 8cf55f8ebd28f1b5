"""Golden networks: graphs that `convert` made of small reference networks with random weights, and what these gave.

tests/random_networks.py says how they are made; every architecture is compared at its full size in tests/live.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from soundalike.runtime import Session

GOLDEN = Path(__file__).parent / "golden" / "networks"
NETWORKS = sorted(GOLDEN.glob("*.npz"))


@pytest.mark.parametrize("device", ["cpu", "openvino"])
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_network_gives_what_its_reference_gave(path: Path, device: str, tmp_path: Path) -> None:
    if device == "openvino":
        pytest.importorskip("openvino")
    golden = np.load(path)
    graph = golden["graph"].tobytes()
    (tmp_path / "network.onnx").write_bytes(graph)
    session = Session(tmp_path / "network.onnx", hashlib.sha256(graph).hexdigest(), device)
    rows = [session.run(row[None]) for row in golden["x"]]
    found, expected = np.concatenate(rows).astype(np.float64), golden["expected"].astype(np.float64)
    assert found.shape == expected.shape
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    assert ((found * expected).sum(-1) / norms >= 0.999999).all()
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


FAMILIES = (
    "htsat_of_laion_up", "htsat_of_laion_fused", "htsat_of_microsoft", "cnn14", "mobilenet", "efficientat", "vggish",
    "yamnet", "aisfx", "text_of_laion", "bert", "gpt2", "wav2v", "hube", "wavlm", "voice",
)  # fmt: skip


def test_the_families_are_there() -> None:
    names = " ".join(path.stem for path in NETWORKS).lower()
    assert [family for family in FAMILIES if family not in names] == []
