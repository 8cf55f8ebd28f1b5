"""Make the golden vectors of tests/live/test_originals.py with the code that networks were published with.

Most of that code is in no package, or in one for other years, so it is not at hand when the tests run, and what
it gives of one signal is kept: from samples to vectors, at full size. Weights are not kept: they are drawn by the
names that the code gives them, and ours gets the same ones. Each original has a run of its own, in an environment
that holds the versions in provenance.json, with its repository on PYTHONPATH::

    PYTHONPATH=EfficientAT python tests/golden/make_originals.py mn04
    PYTHONPATH=audioset_tagging_cnn/pytorch python tests/golden/make_originals.py panns-mobilenet-v1
    PYTHONPATH=models/research/audioset/yamnet python tests/golden/make_originals.py yamnet

This writes tests/golden/originals/mn04.npz and the entry of that name in provenance.json beside it.
Nothing of an original is kept but its numbers and the names and shapes of its weights.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))
from make_frontend import make_signal, record

F32 = npt.NDArray[np.float32]
Layout = dict[str, tuple[list[int], float, float]]  # shape, mean, spread of each tensor
FOLDER = Path(__file__).parent / "originals"


def draw(layout: Mapping[str, Any]) -> dict[str, F32]:
    """Weights by name, normally distributed: the same on every machine, in whatever order they are asked for."""
    found = {}
    for name, (shape, mean, spread) in layout.items():
        numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)  # a stream that is frozen
        found[name] = (mean + spread * numbers).astype(np.float32)
    return found


def _lively(name: str, shape: list[int], fan: int) -> tuple[list[int], float, float]:
    """Mean and spread of a tensor, as lively as a trained one; ``fan``: how many inputs an output has."""
    kinds = {"_mean": (0.0, 0.2), "_var": (1.0, 0.1), "_variance": (1.0, 0.1), "gamma": (1.0, 0.1)}
    for ending, (mean, spread) in kinds.items():
        if name.endswith(ending):
            return shape, mean, spread
    if len(shape) > 1:
        return shape, 0.0, (2 / fan) ** 0.5
    return (shape, 1.0, 0.1) if name.endswith("weight") else (shape, 0.0, 0.1)


def _fill_torch(net: Any) -> Layout:
    """Give a torch network its weights; what is a formula, its front end and its masks, stays."""
    torch = import_module("torch")
    formulas = ("_extractor.", "attn_mask")
    state = {
        name: tensor for name, tensor in net.state_dict().items()
        if tensor.ndim and tensor.is_floating_point() and not any(part in name for part in formulas)
    }  # fmt: skip
    layout = {name: _lively(name, list(v.shape), v[0].numel()) for name, v in state.items()}
    drawn = {name: torch.from_numpy(array) for name, array in draw(layout).items()}
    net.load_state_dict(drawn, strict=False)
    net.eval()
    return layout


def _tensorflow_layout(shapes: Mapping[str, list[int]]) -> Layout:
    """As TensorFlow orders axes: outputs last, but in the kernel of a depthwise convolution."""
    return {
        name: _lively(name, shape, prod(shape[:2]) if "depthwise_kernel" in name else prod(shape[:-1]))
        for name, shape in shapes.items()
    }


def efficientat(samples: F32, width: float) -> tuple[Layout, F32]:
    """AugmentMelSTFT and MN of EfficientAT: the second of its outputs is the embedding."""
    torch = import_module("torch")
    aside = {name: mock.MagicMock() for name in ("helpers", "helpers.utils")}  # labels, read from where it is run
    with mock.patch.dict(sys.modules, aside), mock.patch("builtins.print"):
        net = import_module("models.mn.model").get_model(width_mult=width)
    layout = _fill_torch(net)
    front_end = import_module("models.preprocess").AugmentMelSTFT(freqm=0, timem=0).eval()
    with torch.no_grad():
        return layout, np.asarray(net(front_end(torch.from_numpy(samples)[None])[None])[1].numpy())


def laion(samples: F32) -> tuple[Layout, F32]:
    """LAION's own HTSAT, from samples on, and the two layers behind it in their CLAP."""
    torch = import_module("torch")
    (folder,) = find_spec("laion_clap").submodule_search_locations  # type: ignore[union-attr,misc]
    aside: dict[str, Any] = {"h5py": mock.MagicMock(), "torchvision": mock.MagicMock()}
    aside |= {f"torchvision.{name}": mock.MagicMock() for name in ("ops", "ops.misc")}
    for name in ("laion_clap", "laion_clap.clap_module"):  # without what the packages import for training
        aside[name] = ModuleType(name)
        aside[name].__path__ = [str(Path(folder, *name.split(".")[1:]))]
    config = SimpleNamespace(
        mel_bins=64, sample_rate=48_000, window_size=1024, hop_size=480, fmin=50, fmax=14_000, class_num=527,
        model_name="tiny",
    )  # fmt: skip
    import_module("librosa").filters.mel(sr=48_000, n_fft=1024)  # and what it imports late, before the patch
    with mock.patch.dict(sys.modules, aside):
        htsat = import_module("laion_clap.clap_module.htsat").create_htsat_model(config)
    project = torch.nn.Sequential(torch.nn.Linear(768, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512))
    net = torch.nn.ModuleDict({"audio_branch": htsat, "audio_projection": project})
    layout = _fill_torch(net)
    with torch.no_grad():
        heard = htsat({"waveform": torch.from_numpy(samples)[None], "longer": torch.zeros(1, 1)}, device="cpu")
        return layout, np.asarray(project(heard["embedding"]).numpy())


def panns(samples: F32, kind: str, *sizes: int) -> tuple[Layout, F32]:
    """A whole network of audioset_tagging_cnn, from samples to its embedding."""
    torch = import_module("torch")
    with mock.patch.dict(sys.modules, {"matplotlib": mock.MagicMock(), "matplotlib.pyplot": mock.MagicMock()}):
        net = getattr(import_module("models"), kind)(*sizes, 527)
    layout = _fill_torch(net)
    with torch.no_grad():
        return layout, np.asarray(net(torch.from_numpy(samples)[None])["embedding"].numpy())


def vggish(samples: F32) -> tuple[Layout, F32]:
    """vggish_input and vggish_slim, before the postprocessing of AudioSet's features."""
    tf = import_module("tensorflow.compat.v1")
    patches = import_module("vggish_input").waveform_to_examples(samples.astype(np.float64), 16_000)
    with tf.Graph().as_default(), tf.Session() as session:
        embedding = import_module("vggish_slim").define_vggish_slim()
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        layout = _tensorflow_layout({name: variable.shape.as_list() for name, variable in variables.items()})
        for name, array in draw(layout).items():
            variables[name].load(array, session)
        return layout, np.asarray(session.run(embedding, {"vggish/input_features:0": patches}))


def yamnet(samples: F32) -> tuple[Layout, F32]:
    """yamnet_frames_model, from samples to its embeddings."""
    model = import_module("yamnet").yamnet_frames_model(import_module("params").Params())
    weights = [(layer.name, weight) for layer in model.layers for weight in layer.weights]
    variables = {f"{layer}.{weight.name.rsplit('/', 1)[-1].removesuffix(':0')}": weight for layer, weight in weights}
    layout = _tensorflow_layout({name: weight.shape.as_list() for name, weight in variables.items()})
    for name, array in draw(layout).items():
        variables[name].assign(array)
    return layout, np.asarray(model(samples)["embeddings"])


def resemblyzer(samples: F32) -> tuple[Layout, F32]:
    """VoiceEncoder.embed_utterance, pauses left in: the vectors of its partial utterances."""
    import_module("torch")  # and not within the patch, at whose end it would be forgotten
    librosa = import_module("librosa")
    aside = {name: mock.MagicMock() for name in ("webrtcvad", "scipy.ndimage.morphology")}
    with mock.patch.dict(sys.modules, aside):
        encoder = import_module("resemblyzer").VoiceEncoder("cpu", verbose=False)
    layout = _fill_torch(encoder)
    mirrored = partial(librosa.feature.melspectrogram, pad_mode="reflect")  # as librosa did when it was trained
    with mock.patch.object(librosa.feature, "melspectrogram", mirrored):
        return layout, np.asarray(encoder.embed_utterance(samples, return_partials=True)[1])


@dataclass(frozen=True, kw_only=True)
class Original:
    """Published code, and the signal it is given: one that ours cuts into the same segments."""

    run: Callable[[F32], tuple[Layout, F32]]  # (n_samples,) to the layout of its weights and vectors (n, dim)
    packages: tuple[str, ...]  # whose versions matter
    source: str
    sample_rate: int
    n_samples: int

    def signal(self) -> F32:
        """The samples (n_samples,) that the vectors are of: the first half of the front ends' signal."""
        return make_signal(2 * self.n_samples, self.sample_rate)[: self.n_samples]


_EFFICIENTAT = partial(
    Original,
    packages=("torch", "torchvision", "torchaudio"),
    source="fschmid56/EfficientAT 138342a models/mn/model.py, bcaaae8 models/preprocess.py",
    sample_rate=32_000,
    n_samples=64_000,
)
_PANNS = partial(
    Original,
    packages=("torch", "torchlibrosa", "librosa"),
    source="qiuqiangkong/audioset_tagging_cnn 16000e4 pytorch/models.py",
)
_TENSORFLOW = partial(Original, sample_rate=16_000)

ORIGINALS: dict[str, Original] = {
    "clap-htsat-unfused": Original(
        run=laion,
        packages=("laion-clap", "torch", "torchlibrosa", "librosa"),
        source="laion_clap clap_module/htsat.py, clap_module/model.py",
        sample_rate=48_000,
        n_samples=480_000,
    ),
    "mn04": _EFFICIENTAT(run=partial(efficientat, width=0.4)),
    "mn10": _EFFICIENTAT(run=partial(efficientat, width=1.0)),
    "panns-mobilenet-v1": _PANNS(
        run=lambda samples: panns(samples, "MobileNetV1", 32_000, 1024, 320, 64, 50, 14_000),
        sample_rate=32_000,
        n_samples=64_000,
    ),
    "panns-cnn14-16k": _PANNS(
        run=lambda samples: panns(samples, "Cnn14", 16_000, 512, 160, 64, 50, 8_000),  # what Cnn14_16k asks for
        sample_rate=16_000,
        n_samples=32_000,
    ),
    "resemblyzer": Original(
        run=resemblyzer,
        packages=("Resemblyzer", "torch", "librosa"),
        source="resemblyzer voice_encoder.py, audio.py",
        sample_rate=16_000,
        n_samples=48_000,  # two whole stretches, nine tenths of a third
    ),
    "vggish": _TENSORFLOW(
        run=vggish,
        packages=("tensorflow-cpu", "tf-slim", "numpy"),
        source="tensorflow/models 09093db research/audioset/vggish",
        n_samples=15_600 + 15_360,  # two patches
    ),
    "yamnet": _TENSORFLOW(
        run=yamnet,
        packages=("tensorflow-cpu", "numpy"),
        source="tensorflow/models 0928d5f research/audioset/yamnet",
        n_samples=15_600 + 7_680,  # two patches, half over one another
    ),
}


def main(name: str) -> None:
    """Write the golden vectors of one network and its line of provenance."""
    original = ORIGINALS[name]
    layout, vectors = original.run(original.signal())
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / f"{name}.npz", vectors=vectors, layout=json.dumps(layout))
    record(FOLDER, name, original.source, original.packages, f"python tests/golden/make_originals.py {name}")


if __name__ == "__main__":
    main(sys.argv[1])
