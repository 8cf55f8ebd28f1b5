"""Whole networks against the code that they were published with: samples in, vectors out, at full size.

tests/golden/make_originals.py ran that code; what it gave is kept, and the weights are drawn again here.
"""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from soundalike.encoder import features_of  # noqa: E402
from soundalike.models.cards import CARDS  # noqa: E402
from soundalike.models.convert.recipes import RECIPES  # noqa: E402
from soundalike.segments import split  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
GOLDEN = Path(__file__).parents[1] / "golden"
MAKER = runpy.run_path(str(GOLDEN / "make_originals.py"))


@pytest.mark.parametrize("name", MAKER["ORIGINALS"])
def test_the_published_code_gave_the_same_vectors(name: str) -> None:
    golden, signal = np.load(GOLDEN / "originals" / f"{name}.npz"), MAKER["ORIGINALS"][name].signal()
    card = replace(CARDS[name], layout="mels")
    state = {key: torch.from_numpy(array) for key, array in MAKER["draw"](json.loads(str(golden["layout"]))).items()}
    net = RECIPES[name].audio(RENAMED.get(name, dict)(state)).eval()
    features = np.stack([features_of(part.samples, card) for part in split([signal], card.segments, card.sample_rate)])
    with torch.no_grad():
        found = _unit(net(torch.from_numpy(features)).numpy())
    expected = _unit(golden["vectors"])
    assert found.shape == expected.shape
    cosines = (found * expected).sum(1)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{name}: cosine {cosines.min():.10f}, max |d| {difference:.1e} of the largest number")
    assert cosines.min() >= 0.999999
    assert difference < 1e-4


def _unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)


def _as_torchvggish(state: dict[str, Any]) -> dict[str, Any]:
    """TensorFlow's variables of VGGish under the names and in the order of axes of the file that is fetched."""
    convolutions = ("conv1", "conv2", "conv3/conv3_1", "conv3/conv3_2", "conv4/conv4_1", "conv4/conv4_2")
    places = dict(zip(convolutions, (0, 3, 6, 8, 11, 13), strict=True))
    found = {}
    for name, place in places.items():
        found[f"features.{place}.weight"] = state[f"vggish/{name}/weights"].permute(3, 2, 0, 1).contiguous()
        found[f"features.{place}.bias"] = state[f"vggish/{name}/biases"]
    for name, place in {"fc1/fc1_1": 0, "fc1/fc1_2": 2, "fc2": 4}.items():
        found[f"embeddings.{place}.weight"] = state[f"vggish/{name}/weights"].T.contiguous()
        found[f"embeddings.{place}.bias"] = state[f"vggish/{name}/biases"]
    return found


def _as_transformers(state: dict[str, Any]) -> dict[str, Any]:
    """LAION's tensors of CLAP under the names of the files on the hub."""
    names = {
        "audio_branch.": "audio_model.audio_encoder.", "bn0": "batch_norm", "attn.relative": "attention.self.relative",
        "attn.proj": "attention.output.dense", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
        "norm1": "layernorm_before", "norm2": "layernorm_after", "projection.0": "projection.linear1",
        "projection.2": "projection.linear2",
    }  # fmt: skip
    found = {}
    for key, tensor in state.items():
        for old, new in names.items():
            key = key.replace(old, new)
        rows = tensor.chunk(3) if "attn.qkv" in key else [tensor]  # queries, keys and values lie in one there
        for part, piece in zip(("query", "key", "value"), rows, strict=False):
            found[key.replace("attn.qkv", f"attention.self.{part}")] = piece
    return found


RENAMED = {"vggish": _as_torchvggish, "clap-htsat-unfused": _as_transformers}
