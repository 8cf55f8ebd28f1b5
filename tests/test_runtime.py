from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from soundalike import load_model, runtime
from soundalike.errors import DeviceError, ModelError
from soundalike.models.cards import POCKET, folder_of
from soundalike.runtime import PROVIDERS, Session, read_checked
from soundalike.selftest import EXAMPLES
from soundalike.types import Embedding

GRAPH = folder_of(POCKET) / POCKET.graph.name


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(GRAPH, POCKET.graph.sha256)


def test_an_unknown_device_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"'toaster'.*auto, cpu, cuda"):
        Session(GRAPH, POCKET.graph.sha256, "toaster")


@pytest.mark.parametrize("device", PROVIDERS)
def test_a_device_that_is_not_here_is_an_error_that_says_what_it_needs(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=f"{device} is not available here. It needs"):
        Session(GRAPH, POCKET.graph.sha256, device)


@pytest.mark.filterwarnings("ignore")  # ONNX Runtime's, of a provider that it has not
def test_a_device_that_silently_falls_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises((DeviceError, ModelError)):
        Session(GRAPH, POCKET.graph.sha256, "cuda")


def test_openvino_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"soundalike\[openvino\]"):
        Session(GRAPH, POCKET.graph.sha256, "openvino")


def test_openvino_gives_the_same_vectors_and_bf16_is_another_pipeline() -> None:
    pytest.importorskip("openvino")
    sound = EXAMPLES / "animals" / "dog-barking.mp3"
    expected = load_model().embed_file(sound)
    for device, least in (("openvino", 0.999999), ("openvino-bf16", 0.99)):
        model = load_model(device=device)
        found = model.embed_file(sound)
        assert float(found.vector @ expected.vector) > least
        assert (model.pipeline == expected.pipeline) == (device == "openvino")
        many = list(model.embed_files([sound] * 4, workers=2))
        assert all(np.array_equal(one.vector, found.vector) for one in many if isinstance(one, Embedding))


def test_a_file_with_other_bytes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"audio\.onnx: damaged: sha256 is .*Reinstall"):
        Session(GRAPH, "0" * 64)


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = bytearray(GRAPH.read_bytes())
    data[len(data) // 2] ^= 1
    copy = tmp_path / "audio.onnx"
    copy.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        read_checked(copy, POCKET.graph.sha256)


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read .*Reinstall"):
        read_checked(tmp_path / "none.onnx", "0" * 64)


@pytest.mark.parametrize("data", [b"", b"not a network", GRAPH.read_bytes()[:5000]])
def test_a_file_that_is_no_network_is_a_model_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="not a network"):
        Session(path, hashlib.sha256(data).hexdigest())


def test_arrays_of_the_wrong_shape_are_a_model_error(session: Session) -> None:
    with pytest.raises(ModelError, match=r"\(3,\)"):
        session.run(np.zeros(3, np.float32))
    with pytest.raises(ModelError, match="does not take"):
        session.run(np.zeros((1, 128, 100), np.float32), np.zeros(3, np.float32))


def test_a_session_gives_the_same_bits_each_time(session: Session) -> None:
    mel = np.random.default_rng(0).normal(size=(1, 128, 200)).astype(np.float32)
    np.testing.assert_array_equal(session.run(mel), session.run(mel))
