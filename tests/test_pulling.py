"""Published models onto this machine: from a server with the hub's manners, from a folder, from the hub's own cache."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from hub_server import HubServer
from soundalike import load_model
from soundalike.cli import main
from soundalike.errors import MissingExtra, ModelError
from soundalike.models import cards, hub
from soundalike.models.card import MADE_HERE, Download, ModelCard, Source, TextSpec
from soundalike.models.cards import CARDS, POCKET, card_of, folder_of, is_here
from soundalike.pulling import TRIED, check, pull, remove

BUNDLED = folder_of(POCKET)
REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {"onnx/audio_model.onnx": "audio.onnx", "onnx/text_model.onnx": "text.onnx", "tokenizer.json": "tokenizer.json"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing fetched, nothing cached, no pauses."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub, "PAUSE_S", 0.0)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    prefix = f"/me/twin/resolve/{REVISION}"
    running = HubServer({f"{prefix}/{path}": BUNDLED / name for path, name in FILES.items()})
    monkeypatch.setenv("HF_ENDPOINT", running.address)
    yield running
    running.close()


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The pocket model, as if somebody had published it."""
    prefix = f"https://huggingface.co/me/twin/resolve/{REVISION}"
    files = tuple(
        Download(address=f"{prefix}/{path}", name=name, n_bytes=(BUNDLED / name).stat().st_size)
        for path, name in FILES.items()
    )
    text, source = TextSpec(max_tokens=64), Source(files=files, ready=True)
    card = replace(POCKET, name="twin", graph=MADE_HERE, text=text, calibration=None, source=source)
    monkeypatch.setitem(cards.CARDS, "twin", card)
    return card


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def test_a_pulled_model_gives_the_vectors_of_its_files(twin: ModelCard, server: HubServer, pocket: object) -> None:
    said = call("pull", "twin")
    assert said.exit_code == 0, said.stderr
    assert "licence: Apache-2.0" in said.stderr
    model = load_model("twin")
    words = ["a dog barking", "rain"]
    np.testing.assert_array_equal(model.embed_text(words), load_model().embed_text(words))
    assert model.pipeline == POCKET.pipeline
    assert not list(folder_of(twin).rglob("*.part"))
    assert not (folder_of(twin) / "download").exists()
    n_asked = len(server.asked)
    assert "here already" in call("pull", "twin").stderr
    assert len(server.asked) == n_asked
    assert "twin: all is well: 8 sounds are told apart, and words find their sounds" in call("check", "twin").stderr
    assert call("remove", "twin").exit_code == 0
    assert not is_here(twin)
    with pytest.raises(ModelError, match="not on this machine"):
        remove("twin")


def test_an_interrupted_download_goes_on_where_it_was(twin: ModelCard, server: HubServer) -> None:
    server.cut_after = 1_000_000
    pull("twin")
    ranges = [asked for _, path, asked in server.asked if path.endswith("audio_model.onnx") and asked]
    assert set(ranges) == {"bytes=1000000-"}
    assert is_here(card_of("twin"))


def test_a_killed_run_is_gone_on_with_by_the_next_one(
    twin: ModelCard, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "TRIES", 1)
    server.cut_after = 1_000_000
    with pytest.raises(ModelError, match="the same command goes on"):
        pull("twin")
    part = folder_of(twin) / "download" / "audio.onnx.part"
    assert part.stat().st_size == 1_000_000
    assert not is_here(twin)
    pull("twin")
    assert is_here(twin)


def test_a_server_that_cannot_resume_sends_it_whole(twin: ModelCard, server: HubServer) -> None:
    server.resumes = False
    server.cut_after = 1_000_000
    pull("twin")
    assert (folder_of(twin) / "audio.onnx").read_bytes() == (BUNDLED / "audio.onnx").read_bytes()


def test_a_file_with_another_hash_is_refused(twin: ModelCard, server: HubServer) -> None:
    server.lies = True
    said = call("pull", "twin")
    assert said.exit_code == 2
    assert "not the file that is asked for" in said.stderr
    assert not is_here(twin)
    assert not list((folder_of(twin)).rglob("audio.onnx*"))


def test_the_hash_on_the_card_counts_more_than_the_servers(
    twin: ModelCard, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert twin.source is not None
    files = (replace(twin.source.files[0], sha256="f" * 8), *twin.source.files[1:])
    monkeypatch.setitem(cards.CARDS, "twin", replace(twin, source=replace(twin.source, files=files)))
    server.lies = True  # of the others
    with pytest.raises(ModelError, match="it should be"):
        pull("twin")


def test_an_md5_counts_where_its_publisher_says_no_more(
    twin: ModelCard, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert twin.source is not None
    for md5 in ("0" * 32, hashlib.md5((BUNDLED / "audio.onnx").read_bytes()).hexdigest()):
        files = (replace(twin.source.files[0], md5=md5), *twin.source.files[1:])
        monkeypatch.setitem(cards.CARDS, "twin", replace(twin, source=replace(twin.source, files=files)))
        if md5 == "0" * 32:
            with pytest.raises(ModelError, match=r"its md5 is [0-9a-f]{32}, it should be 0000"):
                pull("twin")
            assert not list(folder_of(twin).rglob("audio.onnx*"))
        else:
            assert is_here(pull("twin"))


def test_offline_is_honoured(twin: ModelCard, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids the network"):
        pull("twin")
    assert server.asked == []


def test_a_copy_in_a_folder_needs_no_network(
    twin: ModelCard, server: HubServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for path, name in FILES.items():
        target = home / "stick" / "clap" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BUNDLED / name, target)
    assert call("pull", "twin", "--from", home / "stick").exit_code == 0
    assert server.asked == []
    assert is_here(twin)


def test_a_folder_without_the_files_is_an_error(twin: ModelCard, home: Path) -> None:
    with pytest.raises(ModelError, match=r"audio_model\.onnx is not in this folder"):
        pull("twin", home)


def test_the_hubs_own_cache_is_used(twin: ModelCard, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = home / "hf" / "hub" / "models--me--twin" / "snapshots" / REVISION
    for path, name in FILES.items():
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BUNDLED / name, snapshot / path)
    pull("twin")
    assert is_here(twin)


def test_a_missing_file_is_an_error_at_once(twin: ModelCard, server: HubServer) -> None:
    server.files.clear()
    with pytest.raises(ModelError, match="404"):
        pull("twin")
    assert sum(method == "GET" for method, _, _ in server.asked) == 1


def test_a_model_that_understands_no_words_is_refused(twin: ModelCard, server: HubServer, home: Path) -> None:
    tokenizer = orjson.loads((BUNDLED / "tokenizer.json").read_bytes())
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": ".+"}, "content": "sound"}
    broken = home / "tokenizer.json"
    broken.write_bytes(orjson.dumps(tokenizer))
    (path,) = (path for path in server.files if path.endswith("tokenizer.json"))
    server.files[path] = broken
    said = call("pull", "twin")
    assert said.exit_code == 2
    assert "refused, because unlike words have nearly the same vectors" in said.stderr
    assert "nearest to their own words" in said.stderr
    assert not is_here(twin)


def test_weights_are_not_fetched_where_torch_is_missing(
    twin: ModelCard, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert twin.source is not None
    monkeypatch.setitem(cards.CARDS, "twin", replace(twin, source=replace(twin.source, ready=False)))
    monkeypatch.setattr("soundalike.pulling.find_spec", lambda package: None)
    with pytest.raises(MissingExtra, match=r"soundalike\[convert\]"):
        pull("twin")
    assert "soundalike[convert]" in call("pull", "twin", "--yes").stderr
    assert server.asked == []
    assert "pip install 'soundalike[convert]'" in call("show", "twin").stdout


def test_without_a_network_it_says_what_to_do(twin: ModelCard, server: HubServer) -> None:
    server.close()
    said = call("pull", "twin").stderr
    assert "not to be reached" in said
    assert "--from FOLDER" in said


def test_a_hash_is_shown_for_those_who_fetch_by_hand(twin: ModelCard) -> None:
    shown = call("show", "msclap-2022").stdout
    assert "CLAP_weights_2022.pth (2,334 MB)\n            sha256 5b917c47fec10547" in shown
    assert "md5 a419303e1c88aa1b9d2ac3811563d371" in call("show", "panns-mobilenet-v1").stdout


def test_a_name_with_a_slip_is_guessed(home: Path) -> None:
    assert "Did you mean resemblyzer?" in call("show", "Resemblizer").stderr
    assert "clap," in call("show", "nothing-like-it").stderr
    assert "Did you mean" not in call("show", "nothing-like-it").stderr
    assert "does not exist" in call("pull", "clap", "--from", home / "nowhere").stderr


def test_the_bundled_model_is_well(pocket: object) -> None:
    assert list(check(load_model())) == []
    assert len(TRIED) == 8
    assert "comes with the package" in call("remove", "pocket").stderr


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.source])
def test_sources_are_pinned(name: str) -> None:
    source = CARDS[name].source
    assert source is not None
    for file in source.files:
        assert file.n_bytes > 0
        if "huggingface.co" in file.address:
            revision = file.address.split("/resolve/")[1].split("/")[0]
            assert len(revision) == 40 or len(file.sha256) == 64 or name == "msclap-2023"
        else:
            assert file.address.startswith(("https://", "pypi:"))


def test_clap_is_a_name_for_the_usual_one() -> None:
    assert card_of("clap").name == "clap-htsat-unfused"
    assert "sounds and words" in call("show", "clap").stdout


def test_what_a_card_says_of_its_files_can_be_checked() -> None:
    """A hash is whole, hexadecimal and of one file; where there is none, the hub or Zenodo states one."""
    files = [file for card in CARDS.values() if card.source for file in card.source.files]
    for file in files:
        assert len(file.sha256) in (0, 64)
        assert not set(file.sha256 + file.md5) - set("0123456789abcdef")
        assert file.sha256 or file.md5 or file.address.startswith("https://huggingface.co/")
    hashes = {file.sha256: file.n_bytes for file in files if file.sha256}
    assert all(file.n_bytes == hashes[file.sha256] for file in files if file.sha256)
    assert sum(bool(file.sha256) for file in files) == 24  # docs/models.md says so
