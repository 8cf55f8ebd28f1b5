from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from make_sounds import tone, write_sound
from soundalike import selftest
from soundalike.embed import Model
from soundalike.errors import ModelError
from soundalike.folders import find_sounds
from soundalike.models import cards
from soundalike.models.cards import folder_of
from soundalike.selftest import EXAMPLES, GOLDEN, read_golden, run_selftest, write_golden


@pytest.fixture
def small(bands: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Give a model whose release knows three examples."""
    monkeypatch.setattr(selftest, "EXAMPLES", tmp_path / "examples")
    monkeypatch.setattr(cards, "BUNDLED", tmp_path / "models")
    folder_of(bands.card).mkdir(parents=True)
    (tmp_path / "examples" / "sub").mkdir(parents=True)
    for name, frequency_hz in {"a.wav": 100, "sub/b.wav": 1000, "sub/c.flac": 5000}.items():
        write_sound(tmp_path / "examples" / name, tone(frequency_hz, 0.5, 16_000), 16_000)
    write_golden(bands)
    return bands


def test_a_machine_that_gives_the_vectors_of_the_release_passes(small: Model) -> None:
    checks = run_selftest(small)
    assert [check.name for check in checks] == ["a.wav", "sub/b.wav", "sub/c.flac"]
    assert all(check.passed and check.repeatable and check.cosine > 1 - 1e-7 for check in checks)


def test_an_example_that_gives_another_vector_fails(small: Model, tmp_path: Path) -> None:
    write_sound(tmp_path / "examples" / "a.wav", tone(104, 0.5, 16_000) + tone(3000, 0.5, 16_000, 0.01), 16_000)
    assert [check.name for check in run_selftest(small) if not check.passed] == ["a.wav"]


def test_an_example_that_cannot_be_read_fails(small: Model, tmp_path: Path) -> None:
    (tmp_path / "examples" / "sub" / "b.wav").write_bytes(b"broken")
    assert [check.name for check in run_selftest(small) if not check.passed] == ["sub/b.wav"]


def test_vectors_that_change_from_run_to_run_fail(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they differ by less than the tolerance."""
    encode, n = small.encoder.encode_segment, 0

    def drift(samples: np.ndarray) -> np.ndarray:
        nonlocal n
        n += 1
        return encode(samples) * np.float32(1 + 1e-6 * n)

    monkeypatch.setattr(small.encoder, "encode_segment", drift)
    assert not any(check.repeatable for check in run_selftest(small))


def test_golden_vectors_of_another_pipeline_are_refused(small: Model) -> None:
    made_with = small.pipeline
    small.card = small.card.with_level("none")
    with pytest.raises(ModelError, match=f"golden vectors are of pipeline {made_with}, this is {small.pipeline}"):
        run_selftest(small)


def test_a_model_without_golden_vectors_says_so(small: Model) -> None:
    (folder_of(small.card) / GOLDEN).unlink()
    with pytest.raises(ModelError, match="no golden vectors"):
        run_selftest(small)


def test_the_release_has_a_golden_vector_for_each_example(pocket: Model) -> None:
    names, vectors = read_golden(pocket)
    assert names == sorted(str(sound.name) for sound in find_sounds([EXAMPLES]))
    assert 30 <= len(names) <= 70
    assert vectors.shape == (len(names), 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_this_machine_gives_the_vectors_of_the_release(
    pocket: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a few examples; `soundalike verify` does all."""
    names, golden = read_golden(pocket)
    for name in names[::12]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name, tmp_path / name)
    monkeypatch.setattr(selftest, "EXAMPLES", tmp_path)
    found = selftest.embed_examples(pocket)
    assert sorted(found) == names[::12]
    for name, vector in zip(names, golden, strict=True):
        assert name not in found or selftest.cosine(found[name], vector) >= 1 - selftest.TOLERANCE
