from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from soundalike.errors import DeviceError, ModelError
from soundalike.models.cards import POCKET, folder_of
from soundalike.runtime import Session, read_checked

GRAPH = folder_of(POCKET) / POCKET.graph.name


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(GRAPH, POCKET.graph.sha256)


def test_an_unknown_device_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"'cuda'.*auto, cpu"):
        Session(GRAPH, POCKET.graph.sha256, "cuda")


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
