from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from soundalike import load_model
from soundalike.cli import main
from soundalike.errors import ModelError
from soundalike.models import convert
from soundalike.models.cards import CARDS, MADE_HERE, POCKET, card_of, folder_of, is_here

RECOGNIZER = "wav2vec2-base-960h"
TINY = Path(__file__).parent / "fixtures" / "tiny_speech"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with none in it."""
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path))
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


@pytest.mark.parametrize("name", CARDS)
def test_every_card_says_what_a_user_must_know(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    assert card.licence
    assert card.trained_on
    assert card.limits
    assert card.n_parameters > 0
    assert (card.graph == MADE_HERE) == (card.source is not None)
    text = call("show", name).stdout
    assert card.licence in text
    assert all(file.address in text for file in (card.source.files if card.source else ()))


def test_a_model_that_was_not_converted_is_listed_and_refused() -> None:
    listed = {line["name"]: line for line in map(orjson.loads, call("list", "--json").stdout.splitlines())}
    assert listed["pocket"]["installed"]
    assert not listed["resemblyzer"]["installed"]
    assert listed["resemblyzer"]["pipeline"] is None
    assert "to fetch" in call("list").stdout
    with pytest.raises(ModelError, match="models pull resemblyzer"):
        load_model("resemblyzer")


def test_a_converted_model_is_found_and_its_file_decides_its_pipeline(home: Path) -> None:
    before = card_of(RECOGNIZER).pipeline
    shutil.copytree(TINY / RECOGNIZER, home / RECOGNIZER)
    card = card_of(RECOGNIZER)
    assert is_here(card)
    assert card.graph.sha256
    assert card.pipeline != before
    assert load_model(RECOGNIZER).pipeline == card.pipeline
    path = folder_of(card) / card.graph.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged"):
        load_model(RECOGNIZER)


def test_what_comes_with_the_package_is_not_converted(home: Path) -> None:
    assert folder_of(POCKET).is_dir()
    result = call("convert", "pocket", home)
    assert result.exit_code == 2
    assert "comes with the package" in result.stderr


def test_converting_without_torch_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "find_spec", lambda package: None)
    result = call("convert", "resemblyzer", home)
    assert result.exit_code == 2
    assert "soundalike[convert]" in result.stderr
