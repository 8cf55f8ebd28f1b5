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
from soundalike.models.cards import CARDS, MADE_HERE, POCKET, WAV2VEC2_960H, card_of, folder_of, is_here

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
    assert (card.graph == MADE_HERE) == bool(card.weights)
    text = call("show", name).stdout
    assert card.licence in text
    assert card.weights in text


def test_a_model_that_was_not_converted_is_listed_and_refused() -> None:
    listed = {line["name"]: line for line in map(orjson.loads, call("list", "--json").stdout.splitlines())}
    assert listed["pocket"]["installed"]
    assert not listed["resemblyzer"]["installed"]
    assert listed["resemblyzer"]["pipeline"] is None
    assert "not here" in call("list").stdout
    with pytest.raises(ModelError, match="models convert resemblyzer FOLDER"):
        load_model("resemblyzer")


def test_a_converted_model_is_found_and_its_file_decides_its_pipeline(home: Path) -> None:
    before = card_of(WAV2VEC2_960H.name).pipeline
    shutil.copytree(TINY / WAV2VEC2_960H.name, home / WAV2VEC2_960H.name)
    card = card_of(WAV2VEC2_960H.name)
    assert is_here(card)
    assert card.graph.sha256
    assert card.pipeline != before
    assert load_model(WAV2VEC2_960H.name).pipeline == card.pipeline
    path = folder_of(card) / card.graph.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged"):
        load_model(WAV2VEC2_960H.name)


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
