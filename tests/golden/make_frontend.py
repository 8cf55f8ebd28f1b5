"""Make the golden spectrograms of tests/test_frontend.py from the reference implementations.

The references want packages of different years, so each has a run of its own, in an environment that holds
the versions in provenance.json; a repository that is no package goes on PYTHONPATH::

    python tests/golden/make_frontend.py efficientat

This writes tests/golden/frontend/efficientat.npz and the entry of that name in provenance.json beside it.
Nothing of a reference is kept but its numbers.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
FOLDER = Path(__file__).parent / "frontend"


def make_signal(n_samples: int, sample_rate: int) -> F32:
    """A sweep, a chord, noise that fades to -80 dB, a click, digital silence: all from formulas."""
    time = np.arange(n_samples) / n_samples
    sweep_hz = 40.0 + 0.225 * sample_rate * time  # the instantaneous frequency is twice as steep
    signal = 0.2 * np.sin(2 * np.pi * sweep_hz * time * n_samples / sample_rate)
    for frequency_hz in (110.0, 440.0, 3520.0):
        signal += 0.1 * np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / sample_rate)
    signal *= np.cos(np.pi * time / 2) ** 2
    signal += 0.1 * 10.0 ** (-3.5 * time) * _noise(n_samples)
    signal[n_samples // 3] += 0.5
    signal[n_samples // 2 : n_samples // 2 + sample_rate // 5] = 0.0
    return signal.astype(np.float32)


def _noise(n_samples: int) -> npt.NDArray[np.float64]:
    """White noise in [-1, 1): the mixing steps of splitmix64, the same on every machine."""
    state = np.arange(1, n_samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def efficientat(samples: F32) -> F32:
    """EfficientAT's AugmentMelSTFT, in eval mode."""
    torch = import_module("torch")
    front_end = import_module("models.preprocess").AugmentMelSTFT(fmax=15_000, freqm=0, timem=0).eval()
    with torch.no_grad():
        return np.asarray(front_end(torch.from_numpy(samples)[None])[0].numpy())


def laion_clap(samples: F32, truncation: str) -> F32:
    """ClapFeatureExtractor as the published preprocessor_config.json sets it up."""
    extractor = import_module("transformers").ClapFeatureExtractor(
        frequency_min=50, frequency_max=14_000, truncation=truncation
    )
    features = extractor(samples, sampling_rate=48_000, return_tensors="np")["input_features"]
    return np.asarray(features[0, 0].T)


def panns(samples: F32, sample_rate: int, window_size: int, hop_size: int, fmax: int) -> F32:
    """The extractors of Cnn14 in audioset_tagging_cnn, with its arguments."""
    stft = import_module("torchlibrosa.stft")
    spectrogram = stft.Spectrogram(window_size, hop_size, window_size, "hann", True, "reflect")
    logmel = stft.LogmelFilterBank(sample_rate, window_size, 64, 50, fmax, top_db=None)
    return _torchlibrosa(spectrogram, logmel, samples)


def msclap_2022(samples: F32) -> F32:
    """The extractors of msclap's Cnn14, with the arguments of config_2022.yml as CLAP passes them."""
    net = import_module("msclap.models.audio").Cnn14(44_100, 1024, 320, 64, 50, 14_000, 527, 2048)
    return _torchlibrosa(net.spectrogram_extractor, net.logmel_extractor, samples)


def msclap_2023(samples: F32) -> F32:
    """The extractors of msclap's HTSAT, which does not look at the arguments of config_2023.yml."""
    net = import_module("msclap.models.htsat").HTSATWrapper(44_100, 1024, 320, 64, 50, 8_000, 527, 768).htsat
    return _torchlibrosa(net.spectrogram_extractor, net.logmel_extractor, samples)


def _torchlibrosa(spectrogram: Any, logmel: Any, samples: F32) -> F32:
    torch = import_module("torch")
    with torch.no_grad():
        return np.asarray(logmel(spectrogram(torch.from_numpy(samples)[None]))[0, 0].T.numpy())


def vggish(samples: F32) -> F32:
    """mel_features.py of tensorflow/models (torchvggish carries it unchanged)."""
    log_mel = import_module("torchvggish.mel_features").log_mel_spectrogram(
        samples.astype(np.float64),
        audio_sample_rate=16_000,
        log_offset=0.01,
        window_length_secs=0.025,
        hop_length_secs=0.010,
        num_mel_bins=64,
        lower_edge_hertz=125,
        upper_edge_hertz=7500,
    )
    return np.asarray(log_mel.T)


def yamnet(samples: F32) -> F32:
    """features.py and params.py of research/audioset/yamnet in tensorflow/models."""
    params = import_module("params").Params()
    log_mel, _ = import_module("features").waveform_to_log_mel_spectrogram_patches(samples, params)
    return np.asarray(log_mel.numpy().T)


def aisfx(samples: F32) -> F32:
    """Essentia path of aisfx, the one its model was trained on."""
    with tempfile.TemporaryDirectory() as folder:
        path = _write_wav(Path(folder), samples, 44_100)
        spectrum = import_module("aisfx.spectrogram.spectrogram_essentia").compute_spectrogram(
            str(path), sr=44_100.0, block_size=2048, hop_size=1024, n_mels=96, f_min=0.0, f_max=22_050.0
        )
    return np.asarray(import_module("aisfx.preprocessing").spectrogram_normalize(spectrum).T)


def musicnn(samples: F32) -> F32:
    """batch_data of musicnn with its float16 step, which overflows on loud sounds, taken as float32."""
    _want_reflected_ends()
    extractor = import_module("musicnn.extractor")
    with tempfile.TemporaryDirectory() as folder, mock.patch("numpy.float16", np.float32):
        _, log_mel = extractor.batch_data(str(_write_wav(Path(folder), samples, 16_000)), 10, 10)
    return np.asarray(log_mel.T)


def resemblyzer(samples: F32) -> F32:
    """wav_to_mel_spectrogram of Resemblyzer."""
    _want_reflected_ends()
    return np.asarray(import_module("resemblyzer.audio").wav_to_mel_spectrogram(samples).T)


def _want_reflected_ends() -> None:
    """Refuse a librosa that fills the ends with zeros: these models were trained before 0.9 changed that."""
    version = metadata.version("librosa")
    if tuple(map(int, version.split(".")[:2])) >= (0, 9):
        raise ImportError(f"needs librosa < 0.9, not {version}")


def _write_wav(folder: Path, samples: F32, sample_rate: int) -> Path:
    path = folder / "signal.wav"
    import_module("soundfile").write(path, samples, sample_rate, subtype="FLOAT")
    return path


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference implementation, and the signal it is given."""

    front_end: Callable[[F32], F32]  # (n_samples,) to (n_mels, n_frames)
    packages: tuple[str, ...]  # whose versions matter
    source: str
    sample_rate: int
    duration_s: float = 1.5
    every: int = 7  # of so many frames one is kept
    tolerance: float  # of the largest difference; docs/front-ends.md has the measured ones

    def signal(self) -> F32:
        """The samples (n_samples,) that the golden spectrogram was made of."""
        return make_signal(round(self.duration_s * self.sample_rate), self.sample_rate)


_TORCHLIBROSA = ("torch", "torchlibrosa", "librosa")
_PANNS = partial(
    Reference,
    packages=_TORCHLIBROSA,
    tolerance=2e-3,
    source="torchlibrosa with the arguments of qiuqiangkong/audioset_tagging_cnn, pytorch/models.py",
)
_LAION = partial(
    Reference,
    packages=("transformers", "numpy"),
    sample_rate=48_000,
    duration_s=10.0,  # what the extractor makes of shorter sounds is the business of segments.py
    every=50,
    tolerance=1e-5,
)
_LIBROSA = ("librosa", "numpy", "scipy")

REFERENCES: dict[str, Reference] = {
    "efficientat": Reference(
        front_end=efficientat,
        tolerance=2e-4,
        packages=("torch", "torchaudio"),
        source="fschmid56/EfficientAT dea76ee models/preprocess.py",
        sample_rate=32_000,
    ),
    "laion_clap": _LAION(
        front_end=partial(laion_clap, truncation="rand_trunc"),
        source="ClapFeatureExtractor, laion/clap-htsat-unfused preprocessor_config.json",
    ),
    "laion_clap_fused": _LAION(
        front_end=partial(laion_clap, truncation="fusion"),
        source="ClapFeatureExtractor, laion/clap-htsat-fused preprocessor_config.json",
    ),
    "msclap_2022": Reference(
        front_end=msclap_2022,
        tolerance=2e-3,
        packages=("msclap", *_TORCHLIBROSA),
        source="msclap models/audio.py",
        sample_rate=44_100,
    ),
    "msclap_2023": Reference(
        front_end=msclap_2023,
        tolerance=2e-3,
        packages=("msclap", *_TORCHLIBROSA),
        source="msclap models/htsat.py, models/config.py",
        sample_rate=44_100,
    ),
    "panns_32k": _PANNS(
        front_end=partial(panns, sample_rate=32_000, window_size=1024, hop_size=320, fmax=14_000),
        sample_rate=32_000,
    ),
    "panns_16k": _PANNS(
        front_end=partial(panns, sample_rate=16_000, window_size=512, hop_size=160, fmax=8_000),
        sample_rate=16_000,
    ),
    "vggish": Reference(
        front_end=vggish,
        tolerance=1e-4,
        packages=("torchvggish", "numpy"),
        source="tensorflow/models research/audioset/vggish/mel_features.py, as in torchvggish",
        sample_rate=16_000,
    ),
    "yamnet": Reference(
        front_end=yamnet,
        tolerance=1e-4,
        packages=("tensorflow-cpu", "numpy"),
        source="tensorflow/models 33630ec research/audioset/yamnet/features.py, params.py",
        sample_rate=16_000,
    ),
    "aisfx": Reference(
        front_end=aisfx,
        tolerance=1e-5,
        packages=("aisfx", "essentia", "numpy"),
        source="aisfx spectrogram/spectrogram_essentia.py, preprocessing.py",
        sample_rate=44_100,
        every=3,
    ),
    "musicnn": Reference(
        front_end=musicnn,
        tolerance=1e-5,
        packages=("musicnn", *_LIBROSA),
        source="musicnn extractor.py, its float16 step taken as float32",
        sample_rate=16_000,
        every=5,
    ),
    "resemblyzer": Reference(
        front_end=resemblyzer,
        tolerance=1e-5,
        packages=("Resemblyzer", *_LIBROSA),
        source="resemblyzer audio.py",
        sample_rate=16_000,
    ),
}


def record(folder: Path, name: str, source: str, packages: Sequence[str], command: str) -> None:
    """Write down, beside a golden file, what made it."""
    path = folder / "provenance.json"
    provenance = json.loads(path.read_text()) if path.exists() else {}
    provenance[name] = {
        "source": source,
        "versions": {package: metadata.version(package) for package in packages},
        "python": platform.python_version(),
        "command": command,
    }
    path.write_text(json.dumps(dict(sorted(provenance.items())), indent=2) + "\n")


def main(name: str) -> None:
    """Write the golden file of one front end and its line of provenance."""
    reference = REFERENCES[name]
    mel = reference.front_end(reference.signal()).astype(np.float32)
    n_frames = mel.shape[1]
    frames = np.union1d(np.arange(0, n_frames, reference.every), [n_frames - 1]).astype(np.int32)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / f"{name}.npz", mel=mel[:, frames], frames=frames, n_frames=n_frames)
    record(FOLDER, name, reference.source, reference.packages, f"python tests/golden/make_frontend.py {name}")


if __name__ == "__main__":
    main(sys.argv[1])
