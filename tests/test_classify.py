"""Labels: learned, told, tested, saved, suggested."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from soundalike import classify
from soundalike.classify import NONE, Classifier, cross_validate, learning_curve, read_labels, suggest, train
from soundalike.cli import main
from soundalike.errors import ModelError, PipelineMismatch, SoundalikeError
from soundalike.library import Library
from soundalike.models.cards import Calibration
from soundalike.types import F32
from tiny_model import TinyModel

CALIBRATION = Calibration(sound_slope=1, sound_offset=0, text_slope=20, text_offset=-6, nothing_below=0.2)


def blobs(n_each: int, n_labels: int = 3, spread: float = 0.3, seed: int = 0) -> tuple[F32, list[str]]:
    rng = np.random.default_rng(seed)
    centers = np.eye(n_labels, 16)
    numbers = np.repeat(np.arange(n_labels), n_each)
    points = centers[numbers] + spread * rng.normal(size=(len(numbers), 16)) / 4
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit.astype(np.float32), [f"label {i}" for i in numbers]


@pytest.mark.parametrize("n_labels", [2, 3, 5])
def test_a_classifier_learns(n_labels: int) -> None:
    vectors, labels = blobs(20, n_labels)
    answers = train(vectors, labels, pipeline="p").answer(vectors, "p")
    assert answers.names == labels
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)
    assert (answers.sureness > 1 / n_labels).all()


def test_rare_labels_weigh_as_much_as_common_ones() -> None:
    vectors, labels = blobs(100, 2, spread=1.5)
    rows = [*range(100), *range(100, 104)]
    answers = train(vectors[rows], [labels[i] for i in rows], pipeline="p").answer(vectors, "p")
    names = np.array(answers.names)
    assert (names[100:] == "label 1").mean() > 0.6


def test_a_saved_classifier_gives_the_same_answers_and_is_plain_data(tmp_path: Path) -> None:
    vectors, labels = blobs(10)
    made = train(vectors, labels, pipeline="p", model="tiny")
    again = Classifier.load(made.save(tmp_path / "c.json"))
    np.testing.assert_array_equal(again.answer(vectors, "p").probabilities, made.answer(vectors, "p").probabilities)
    assert (again.labels, again.model, again.n_examples) == (made.labels, "tiny", 30)
    assert orjson.loads((tmp_path / "c.json").read_bytes())["pipeline"] == "p"


def test_vectors_of_another_pipeline_are_refused() -> None:
    vectors, labels = blobs(5)
    with pytest.raises(PipelineMismatch, match=r"pipeline p.*pipeline other"):
        train(vectors, labels, pipeline="p").answer(vectors, "other")


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["a"]}, {"labels": ["a", "a", "b"]}, {"labels": 3}, {"weights": [[1.0]] * 3, "offsets": [0, 0]},
        {"weights": [[None] * 16] * 3}, {"weights": [[1e999] * 16] * 3}, {"offsets": "none"}, {"n_examples": "many"},
        {"version": 99}, {"format": "something"}, {"model": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_classifier_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    vectors, labels = blobs(5)
    path = train(vectors, labels, pipeline="p").save(tmp_path / "c.json")
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | change))
    with pytest.raises(ModelError, match=r"c\.json"):
        Classifier.load(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"null"])
def test_what_is_no_classifier_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"c\.json"):
        Classifier.load(tmp_path / "c.json")
    with pytest.raises(ModelError, match=r"gone\.json"):
        Classifier.load(tmp_path / "gone.json")


def test_one_label_is_not_enough() -> None:
    with pytest.raises(ValueError, match="two labels"):
        train(np.eye(3, dtype=np.float32), ["a"] * 3, pipeline="p")
    with pytest.raises(ValueError, match="3 labels"):
        train(np.eye(2, dtype=np.float32), ["a"] * 3, pipeline="p")


def test_cross_validation_counts_each_example_once_and_sees_chance_as_chance() -> None:
    vectors, labels = blobs(20)
    report = cross_validate(vectors, labels)
    assert report is not None
    assert report.confusion.sum() == 60
    assert report.accuracy == 1.0
    assert report.mistakes == ()
    shuffled = [labels[i] for i in np.random.default_rng(0).permutation(60)]
    chance = cross_validate(vectors, shuffled)
    assert chance is not None
    assert chance.accuracy < 0.55
    assert len(chance.mistakes) == 60 - chance.confusion.trace()


def test_cross_validation_with_few_examples() -> None:
    vectors, labels = blobs(2)
    report = cross_validate(vectors[:5], labels[:5])  # the third label has one example: it cannot be tested
    assert report is not None
    assert (report.n_folds, report.confusion.sum(), report.labels) == (2, 4, ("label 0", "label 1", "label 2"))
    assert cross_validate(vectors[::2], labels[::2]) is None


def test_a_learning_curve_rises() -> None:
    vectors, labels = blobs(20, spread=1.6)
    curve = learning_curve(vectors, labels)
    assert [point.n_shots for point in curve] == [1, 2, 4, 8, 16]
    assert curve[-1].accuracy > curve[0].accuracy


def test_zero_shot_picks_the_label_or_none() -> None:
    model = TinyModel()
    of_labels = classify.label_vectors(["rain", "dog"], model.embed_text)
    np.testing.assert_allclose(np.linalg.norm(of_labels, axis=1), 1, rtol=1e-6)
    far = np.linalg.svd(of_labels)[2][-1:].astype(np.float32)
    answers = classify.zero_shot(np.concatenate([of_labels, far]), ["rain", "dog"], of_labels, CALIBRATION)
    assert answers.names == ["rain", "dog", NONE]
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)
    with pytest.raises(ValueError, match="twice"):
        classify.label_vectors(["rain", "rain"], model.embed_text)


@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 5))
def test_suggestions_are_different_sounds_without_a_label(n_labelled: int, n: int, seed: int) -> None:
    vectors, names = blobs(10, spread=1.0, seed=seed)
    known = set(np.random.default_rng(seed).permutation(30)[:n_labelled].tolist())
    labels = [name if i in known else None for i, name in enumerate(names)]
    found = suggest(vectors, labels, n)
    assert len(set(found.rows.tolist())) == len(found.rows) == min(n, 30 - n_labelled)
    assert not known & set(found.rows.tolist())
    assert ((found.doubt >= 0) & (found.doubt <= 1)).all()


def test_suggested_labels_teach_more_than_random_ones() -> None:
    vectors, names = blobs(60, 6, spread=1.2)
    rng = np.random.default_rng(0)
    start = [names.index(f"label {i}") for i in range(2)]

    def accuracy(rows: list[int]) -> float:
        made = train(vectors[rows], [names[i] for i in rows], pipeline="")
        return float(np.mean(np.array(made.answer(vectors, "").names) == np.array(names)))

    chosen, random = list(start), []
    for _ in range(4):
        labels = [name if i in chosen else None for i, name in enumerate(names)]
        chosen += suggest(vectors, labels, 4).rows.tolist()
    for _ in range(10):
        rest = [i for i in rng.permutation(len(names)).tolist() if i not in start]
        random.append(accuracy(start + rest[:16]))
    assert accuracy(chosen) > np.mean(random)


def test_labels_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("\ufeffPath,Label\na.wav, dog\n\n/x/b.wav,cat,ignored\n")
    assert read_labels(table) == {tmp_path / "a.wav": "dog", Path("/x/b.wav"): "cat"}
    for bad, message in (("a.wav", "line 1"), ("a.wav,x\na.wav,y", "two labels"), ("", "no labels"), ('"\0', "labels")):
        table.write_text(bad)
        with pytest.raises(SoundalikeError, match=message):
            read_labels(table)
    with pytest.raises(SoundalikeError, match="gone"):
        read_labels(tmp_path / "gone")


# In a library


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Dogs have lines of dogs, cats of cats; each has one line of its own too."""
    for kind in ("dog", "cat"):
        (tmp_path / "sounds" / kind).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "sounds" / kind / f"{i}.wav").write_text(f"{kind}\n{kind}\n{kind} {i}")
    return tmp_path / "sounds"


@pytest.fixture
def library(tmp_path: Path, sounds: Path) -> Iterator[Library]:
    with Library.create(tmp_path / "library", TinyModel()) as opened:
        opened.add([sounds])
        yield opened


def test_a_library_trains_on_folders_and_classifies_itself(library: Library, sounds: Path, tmp_path: Path) -> None:
    (sounds / "dog" / "bad.mp3").write_text("dog")  # not in the library: embedded on the way
    done = library.train(sounds, curve=True)
    assert done.report is not None
    assert done.report.accuracy == 1.0
    assert done.classifier.n_examples == 13
    assert done.classifier.pipeline == library.model.pipeline
    assert {sound.path.parent.name == sound.label for sound in library.classify(done.classifier).sounds} == {True}
    (tmp_path / "new.wav").write_text("cat\ncat\nother")
    found = library.classify(done.classifier, [tmp_path / "new.wav"]).sounds[0]
    assert (found.label, found.ranking[0]) == ("cat", ("cat", found.probability))
    with pytest.raises(SoundalikeError, match="two labels"):
        library.train({sounds / "dog" / "0.wav": "dog"})


def test_a_classifier_of_another_model_is_refused(library: Library, sounds: Path, tmp_path: Path) -> None:
    done = library.train(sounds)
    with Library.create(tmp_path / "other", TinyModel("other")) as other:
        other.add([sounds])
        with pytest.raises(PipelineMismatch):
            other.classify(done.classifier)


def test_words_need_a_calibration(library: Library) -> None:
    with pytest.raises(ModelError, match="tiny: the card of this model has no calibration"):
        library.classify(["dog", "cat"])


def test_a_library_suggests_what_has_no_label(library: Library, sounds: Path) -> None:
    labels = {sounds / "dog" / "0.wav": "dog", sounds / "cat" / "0.wav": "cat"}
    found = library.suggest_labels(labels, 4)
    assert len(found) == 4
    assert not {one.sound.path for one in found} & set(labels)
    assert {one.guess for one in found} <= {"dog", "cat"}
    assert [one.guess for one in library.suggest_labels({}, 2)] == [None, None]


def test_examples_teach_that_are_not_in_the_library(library: Library, tmp_path: Path) -> None:
    for label in ("dog", "cat"):
        (tmp_path / "labelled" / label).mkdir(parents=True)
        (tmp_path / "labelled" / label / "new.wav").write_text(f"{label}\n{label}\n{label} new")
    found = library.suggest_labels(tmp_path / "labelled", 4)
    assert {one.guess for one in found} <= {"dog", "cat"}
    assert all(one.doubt < 1 for one in found)


def test_a_curve_of_few_examples_has_numbers() -> None:
    vectors = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    (point,) = learning_curve(vectors, ["a", "a", "b", "b", "c", "c"])
    assert (point.n_shots, point.accuracy) == (1, 1.0)
    assert learning_curve(vectors[:3], ["a", "a", "b"]) == []


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_commands(library: Library, sounds: Path, tmp_path: Path) -> None:
    where, out, picture = ("-l", tmp_path / "library"), tmp_path / "c.json", tmp_path / "c.png"
    code, text, err = call("train", sounds, "-o", out, "--picture", picture, "--curve", *where)
    assert (code, "accuracy 100.0%" in text) == (0, True), err
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, text, _ = call("train", sounds, "-o", out, "--json", *where)
    assert orjson.loads(text)["cross_validation"]["accuracy"] == 1.0
    code, text, _ = call("classify", "--by", out, *where)
    assert (code, text.count("dog 9"), len(text.splitlines())) == (0, 6, 12)
    code, text, _ = call("classify", "--by", out, sounds / "dog" / "0.wav", "--json", "--top", 2, *where)
    assert [pair["label"] for pair in orjson.loads(text)["labels"]] == ["dog", "cat"]
    code, text, _ = call("classify", "--by", out, sounds / "dog", *where)
    assert (code, len(text.splitlines())) == (0, 6)
    assert call("classify", *where)[0] == call("classify", "--label", "a", "--label", "a", *where)[0] == 2
    code, text, _ = call("labels", "suggest", "-n", 3, "--json", *where)
    assert (code, len(text.splitlines())) == (0, 3)


def test_words_for_the_example_sounds(tmp_path: Path) -> None:
    from soundalike.embed import load_model
    from soundalike.selftest import EXAMPLES

    with Library.create(tmp_path / "library", load_model()) as library:
        paths = [EXAMPLES / "animals" / "dog-barking.mp3", EXAMPLES / "nature" / "rain-heavy.opus"]
        done = library.classify(["dog barking", "rain", "piano"], paths)
        assert [sound.label for sound in done.sounds] == ["dog barking", "rain"]
        assert library.classify(["piano", "applause"], paths[:1]).sounds[0].label == NONE
