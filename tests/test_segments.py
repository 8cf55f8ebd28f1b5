from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundalike.frontend import log_mel
from soundalike.level import SILENCE_PEAK
from soundalike.models.cards import CARDS
from soundalike.models.frontends import RESEMBLYZER
from soundalike.segments import EDGE_DB, SegmentSpec, split
from soundalike.types import F32, Segment

RATE = 100
SPEC = SegmentSpec(length_s=1.0, hop_s=0.5, shortest_s=0.2)
FIXED = SegmentSpec(length_s=1.0, hop_s=0.5, shortest_s=1.0, fixed=True)
LENGTH, SHORTEST = 100, 20


def rough(n: int, level: float, seed: int) -> F32:
    """Noise without values near zero, so that a quieter copy sounds at the very same samples."""
    draw = np.random.default_rng(seed)
    return (level * draw.choice([-1, 1], n) * draw.uniform(0.5, 1, n)).astype(np.float32)


@st.composite
def sounds(draw: st.DrawFn) -> F32:
    """Stretches of noise at several levels, and of silence."""
    stretches = st.tuples(st.integers(0, 180), st.sampled_from([0.0, 0.0, 1e-5, 0.02, 0.3, 0.9]))
    parts = draw(st.lists(stretches, max_size=6))
    seed = draw(st.integers(0, 1000))
    return np.concatenate([rough(0, 1, 0), *(rough(n, level, seed + n) for n, level in parts)])


def cut(samples: F32, spec: SegmentSpec = SPEC) -> list[Segment]:
    return list(split([samples], spec, RATE))


def place(segment: Segment) -> slice:
    return slice(round(segment.start_s * RATE), round(segment.end_s * RATE))


def assert_same(a: list[Segment], b: list[Segment]) -> None:
    assert [place(segment) for segment in a] == [place(segment) for segment in b]
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@given(sounds())
def test_every_sample_that_sounds_is_covered(samples: F32) -> None:
    covered = np.zeros(samples.size, bool)
    for segment in cut(samples):
        covered[place(segment)] = True
    missed = np.abs(samples[~covered])
    edge = np.abs(samples).max(initial=0) * 10 ** (EDGE_DB / 20)
    assert not (missed >= max(edge, SILENCE_PEAK)).any()


@given(sounds())
def test_a_segment_holds_the_samples_of_its_time_and_begins_and_ends_with_sound(samples: F32) -> None:
    for segment in cut(samples):
        part = samples[place(segment)]
        np.testing.assert_array_equal(segment.samples[: part.size], part)
        assert min(abs(part[0]), abs(part[-1])) >= np.abs(part).max() * 10 ** (EDGE_DB / 20)
        assert SHORTEST <= segment.samples.size <= LENGTH
        np.testing.assert_array_equal(segment.samples, np.resize(part, segment.samples.size))


@given(sounds())
def test_segments_come_in_order_and_each_brings_something_new(samples: F32) -> None:
    segments = cut(samples)
    for one, other in pairwise(segments):
        assert one.start_s <= other.start_s
        assert one.end_s < other.end_s


@given(sounds(), st.lists(st.integers(0, 1000)))
def test_how_the_stream_is_cut_into_blocks_does_not_matter(samples: F32, places: list[int]) -> None:
    blocks = np.split(samples, sorted(min(at, samples.size) for at in places))
    assert_same(list(split(blocks, SPEC, RATE)), cut(samples))


@given(sounds(), st.integers(0, 1000))
def test_an_excerpt_of_the_start_has_the_segments_of_the_whole(samples: F32, n: int) -> None:
    """But for its last one, which is aligned to its end."""
    head = cut(samples[:n])[:-1]
    assert_same(head, cut(samples)[: len(head)])


@given(sounds(), st.sampled_from([0.01, 0.125, 0.5, 2.0]))
def test_a_quieter_or_louder_copy_is_cut_the_same(samples: F32, gain: float) -> None:
    samples = samples * (np.abs(samples) > 1e-3)
    copy = cut(samples * np.float32(gain))
    assert [place(segment) for segment in copy] == [place(segment) for segment in cut(samples)]


def test_a_quiet_copy_keeps_a_fade_in_that_lies_below_silence() -> None:
    fade = rough(90, 0.5, 7) * np.geomspace(1e-4, 1, 90, dtype=np.float32)
    want = cut(fade)
    assert place(want[0]).start > 0
    for before in (0, 30, 1000):
        copy = cut(np.pad(fade * np.float32(0.001), (before, 0)))
        assert [place(segment).start - before for segment in copy] == [
            place(segment).start for segment in want
        ]


@given(sounds(), st.integers(0, 400), st.integers(0, 400))
def test_silence_around_a_short_sound_changes_only_the_times(samples: F32, before: int, after: int) -> None:
    samples = samples[:LENGTH]
    padded = np.pad(samples, (before, after))
    want, got = cut(samples), cut(padded)
    assert [place(s).start - before for s in got] == [place(s).start for s in want]
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_a_three_second_sound_before_nine_seconds_of_silence_is_one_segment() -> None:
    spec = SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=1.0)
    sound = rough(300, 0.5, 1)
    assert_same(list(split([np.pad(sound, (0, 900))], spec, RATE)), list(split([sound], spec, RATE)))


def test_a_long_sound_overlaps_by_half_and_ends_right_aligned() -> None:
    segments = cut(rough(270, 0.5, 2))
    starts = [0, 50, 100, 150, 170]
    assert [place(segment) for segment in segments] == [slice(start, start + 100) for start in starts]


@pytest.mark.parametrize("n", [100, 101, 150, 151])
def test_the_last_segment_is_there_once(n: int) -> None:
    ends = [place(segment).stop for segment in cut(rough(n, 0.5, 3))]
    assert ends[-1] == n
    assert len(set(ends)) == len(ends)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(500), np.full(500, 1e-5)])
def test_silence_gives_nothing(samples: F32) -> None:
    assert cut(samples.astype(np.float32)) == []
    assert list(split([], SPEC, RATE)) == []


def test_silence_in_the_middle_is_left_out() -> None:
    sound = np.concatenate([rough(100, 0.5, 4), np.zeros(300, np.float32), rough(100, 0.5, 5)])
    assert [place(segment) for segment in cut(sound)] == [slice(0, 100), slice(400, 450), slice(400, 500)]


def test_a_short_sound_is_repeated() -> None:
    click = rough(7, 0.5, 6)
    (segment,) = cut(np.pad(click, (30, 30)))
    np.testing.assert_array_equal(segment.samples, np.resize(click, SHORTEST))
    assert place(segment) == slice(30, 37)


@given(sounds())
def test_a_fixed_length_is_filled_with_whole_repeats_and_then_zeros(samples: F32) -> None:
    for segment in cut(samples, FIXED):
        part = samples[place(segment)]
        whole = LENGTH // part.size * part.size
        assert segment.samples.size == LENGTH
        np.testing.assert_array_equal(segment.samples[:whole], np.resize(part, whole))
        assert not segment.samples[whole:].any()


def test_memory_does_not_grow_with_the_stream() -> None:
    def stream() -> Iterator[F32]:
        for i in range(300):
            yield rough(1000, 0.5, i) if i < 100 else np.zeros(1000, np.float32)

    spec = SegmentSpec(length_s=2.0, hop_s=1.0, shortest_s=1.0)
    tracemalloc.start()
    n_segments = sum(1 for _ in split(stream(), spec, 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_segments == 99
    assert peak < 300 * 1000 * 4 / 4


AROUND = SegmentSpec(length_s=1.0, hop_s=0.5, shortest_s=1.0, around_s=(0.2, 0.1))
BEFORE, AFTER = 20, 10


@given(sounds(), st.lists(st.integers(0, 1000)))
def test_with_surroundings_it_does_not_matter_how_the_stream_is_cut_into_blocks(
    samples: F32, places: list[int]
) -> None:
    blocks = np.split(samples, sorted(min(at, samples.size) for at in places))
    assert_same(list(split(blocks, AROUND, RATE)), cut(samples, AROUND))


@pytest.mark.parametrize("n", [1, 2, 15, 90, 100, 105, 125, 149, 150, 174, 175, 200, 431])
def test_segments_with_surroundings_are_cut_from_the_whole(n: int) -> None:
    """Every half second, the sound mirrored at its ends; the last one with zeros, if three quarters of it are there."""
    samples = rough(n, 0.5, n)
    starts = [start for start in range(0, n, 50) if start == 0 or n - start >= 75]
    whole = np.pad(samples, (0, max(starts[-1] + 100 - n, 0)))
    whole = np.pad(whole, (BEFORE, AFTER), mode="reflect")
    segments = cut(samples, AROUND)
    assert [place(segment) for segment in segments] == [slice(s, min(s + 100, n)) for s in starts]
    for start, segment in zip(starts, segments, strict=True):
        np.testing.assert_array_equal(segment.samples, whole[start : start + BEFORE + 100 + AFTER])


def test_with_surroundings_silence_before_and_after_changes_only_the_times() -> None:
    samples = rough(230, 0.5, 1)
    want = cut(samples, AROUND)
    for before, after in ((0, 40), (0, 300), (77, 0), (500, 90)):
        got = cut(np.pad(samples, (before, after)), AROUND)
        assert [place(segment).start - before for segment in got] == [place(segment).start for segment in want]
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one.samples[: BEFORE + 100], other.samples[: BEFORE + 100])


def test_with_surroundings_a_pause_costs_nothing_that_is_said_before_it() -> None:
    """The second segment holds little sound: it counts, as more comes after the pause."""
    samples = np.concatenate([rough(110, 0.5, 1), np.zeros(200, np.float32), rough(100, 0.5, 2)])
    starts = [place(segment).start for segment in cut(samples, AROUND)]
    assert starts == [0, 50, 100, 310, 310, 310][: len(starts)]
    assert cut(samples[:310], AROUND)[-1].end_s == 1.0
    assert not cut(np.zeros(300, np.float32), AROUND)
    assert not cut(np.zeros(0, np.float32), AROUND)


def test_a_voice_is_heard_as_a_whole_and_cut_afterwards() -> None:
    card, samples = CARDS["resemblyzer"], rough(40_000, 0.1, 3)
    assert card.frontend is not None
    whole = log_mel(np.pad(samples, (0, 240)), RESEMBLYZER)  # to the end of the third stretch
    segments = list(split(np.split(samples, [9_000, 23_456]), card.segments, card.sample_rate))
    for i, segment in enumerate(segments):
        np.testing.assert_allclose(log_mel(segment.samples, card.frontend), whole[:, 77 * i :][:, :160], rtol=1e-5)
    assert len(segments) == 2
