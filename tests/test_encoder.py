from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundalike.embed import Model
from soundalike.encoder import Encoder, features_of, unit
from soundalike.errors import ModelError
from soundalike.level import normalize_level
from soundalike.models import cards
from soundalike.models.cards import POCKET, card_of
from soundalike.types import F32, LevelRule

WORDS = ["rain on a tin roof", "a dog barking", "a deep kick drum", "Übergrößenträger", "猫の鳴き声"]


def tones(seed: int, n: int = 40_000) -> F32:
    frequencies_hz = np.random.default_rng(seed).uniform(80, 8000, (5, 1))
    waves = np.sin(2 * np.pi * frequencies_hz * np.arange(n) / 32_000)
    return np.asarray(waves.sum(axis=0) / 8, np.float32)


def test_vectors_have_the_dimension_of_the_card_and_unit_length(pocket: Model) -> None:
    vectors = [pocket.encoder.encode_segment(tones(seed)) for seed in range(3)]
    vectors += list(pocket.embed_text(WORDS))
    for vector in vectors:
        assert vector.shape == (POCKET.dim,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1.0, abs=1e-6)


def test_two_sounds_have_two_vectors(pocket: Model) -> None:
    a, b = (pocket.encoder.encode_segment(tones(seed)) for seed in (1, 2))
    assert float(a @ b) < 0.999


def test_a_line_has_the_same_bits_alone_and_among_others(pocket: Model) -> None:
    together = pocket.embed_text(WORDS)
    for line, vector in zip(WORDS, together, strict=True):
        np.testing.assert_array_equal(pocket.embed_text([line])[0], vector)
    np.testing.assert_array_equal(pocket.embed_text(WORDS[::-1])[::-1], together)
    assert len(np.unique(together, axis=0)) == len(WORDS)


def test_words_of_one_meaning_lie_together_and_words_of_like_letters_do_not(pocket: Model) -> None:
    lines = ["rain on a tin roof", "heavy rain on metal", "the sound of rain", "rain", "train", "a passing train"]
    cosines = (lambda v: v @ v.T)(pocket.embed_text(lines))
    assert cosines[0, 1] > 0.9
    assert cosines[0, 3] > 0.8
    assert cosines[2, 3] > 0.9
    assert cosines[4, 5] > 0.9
    assert cosines[3, 4] < 0.3
    assert cosines[0, 5] < 0.3


def test_white_space_in_a_line_does_not_matter(pocket: Model) -> None:
    np.testing.assert_array_equal(
        pocket.embed_text(["  a dog\n\tbarking "]), pocket.embed_text(["a dog barking"])
    )


@given(st.text())
def test_any_text_has_a_vector(pocket: Model, line: str) -> None:
    assert np.isfinite(pocket.embed_text([line])).all()


@pytest.mark.parametrize("line", ["", "word " * 5000, "stray byte \udcff", "\x00", "😀" * 100], ids=range(5))
def test_odd_text_has_a_vector(pocket: Model, line: str) -> None:
    assert np.isfinite(pocket.embed_text([line])).all()


def test_no_lines_give_no_vectors(pocket: Model) -> None:
    assert pocket.embed_text([]).shape == (0, POCKET.dim)


def test_one_string_in_place_of_lines_is_a_type_error(pocket: Model) -> None:
    with pytest.raises(TypeError, match=r"\[line\]"):
        pocket.embed_text("rain")


def test_many_threads_give_the_same_bits(pocket: Model) -> None:
    segments = [tones(seed) for seed in range(6)]
    alone = [pocket.encoder.encode_segment(segment) for segment in segments]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(pocket.encoder.encode_segment, segments), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_model_without_words_says_so(pocket: Model) -> None:
    deaf = Encoder(replace(POCKET, text=None))
    with pytest.raises(ModelError, match="knows no words"):
        deaf.encode_text(["rain"])


def test_an_unknown_model_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'pocked'.*pocket"):
        card_of("pocked")


def test_a_damaged_text_tower_is_noticed_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pocket"
    folder.mkdir()
    for file in POCKET.files:
        (folder / file.name).symlink_to(cards.BUNDLED / "pocket" / file.name)
    monkeypatch.setattr(cards, "BUNDLED", tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text("{}")
    encoder = Encoder(POCKET)
    encoder.encode_segment(tones(0))
    with pytest.raises(ModelError, match=r"tokenizer\.json: damaged"):
        encoder.encode_text(["rain"])


@pytest.mark.parametrize("vector", [np.zeros(4), np.array([np.nan, 1]), np.array([np.inf, 1])])
def test_a_vector_without_direction_is_an_error(vector: np.ndarray) -> None:
    with pytest.raises(ModelError, match="length"):
        unit(vector)


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=8).filter(any))
def test_unit_scales_to_length_one_and_keeps_the_direction(values: list[int]) -> None:
    vector = np.array(values, np.float32)
    scaled = unit(vector).astype(np.float64)
    assert np.linalg.norm(scaled) == pytest.approx(1.0, abs=1e-6)
    cosine = scaled @ vector / np.linalg.norm(vector.astype(np.float64))
    assert cosine == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("level", ["peak", "rms"])
def test_the_margin_is_silence_around_a_leveled_segment(level: LevelRule) -> None:
    card = replace(POCKET, frontend=None, level=level, segments=replace(POCKET.segments, margin_s=0.25))
    framed = features_of(tones(1), card)
    np.testing.assert_array_equal(framed[8000:-8000], normalize_level(tones(1), level, 32_000))
    assert not framed[:8000].any()
    assert not framed[-8000:].any()


def test_a_copy_that_is_some_frames_longer_has_nearly_the_same_vector(pocket: Model) -> None:
    sound = tones(2) * np.exp(-np.arange(40_000) / 4_000).astype(np.float32)
    copies = [np.pad(sound, (0, n_frames * 320)) for n_frames in range(33)]
    vectors = np.stack([pocket.encoder.encode_segment(copy) for copy in copies])
    assert (vectors @ vectors.T).min() > 0.98  # 0.72 where the network gets whatever number of frames there is


def test_a_field_that_came_later_changes_no_pipeline_where_it_is_not_set() -> None:
    """Ids by which libraries and files of published models know their vectors."""
    known = {"mn04": "74aed5f9514e0c86", "panns-cnn14": "ea72c922d5b1144b", "aisfx": "d13cebfc3a024985"}
    assert {name: cards.CARDS[name].pipeline for name in known} == known


def test_every_part_of_the_pipeline_changes_its_id() -> None:
    frontend = POCKET.frontend
    assert frontend is not None
    others = [
        POCKET.with_level("rms"),
        replace(POCKET, graph=replace(POCKET.graph, sha256="0" * 64)),
        replace(POCKET, frontend=replace(frontend, offset=1e-6)),
        replace(POCKET, frontend=replace(frontend, frames_multiple=1)),
        replace(POCKET, frontend=replace(frontend, frames_multiple=16)),
        replace(POCKET, segments=replace(POCKET.segments, hop_s=10.0)),
    ]
    assert len({card.pipeline for card in [POCKET, *others]}) == 1 + len(others)
    assert replace(POCKET, summary="other words").pipeline == POCKET.pipeline
