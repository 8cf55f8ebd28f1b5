from __future__ import annotations

import csv
import os
import string
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundalike import export
from soundalike.errors import ExportError, PipelineMismatch
from soundalike.export import Record, json_name, read_embeddings, readable
from soundalike.types import F32

FORMATS = ["json", *export.WRITERS]
TABLES = {"jsonl": "embeddings.jsonl", "parquet": "embeddings.parquet", "numpy": "embeddings.npy"}
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(5)), elements=FLOATS)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)


def record(name: str, vector: F32, **fields: Any) -> Record:
    return {
        "filename": name.rpartition("/")[2], "duration_seconds": 0.731, "embedding": vector, "path": name,
        "model": "pocket", "pipeline": "3f9c", "sample_rate": 44_100, "channels": 2, "sha256": "ab" * 32, **fields,
    }  # fmt: skip


def records(n: int = 3, dim: int = 4) -> list[Record]:
    vectors = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
    return [record(f"kicks/{i}.wav", vector) for i, vector in enumerate(vectors)]


def write(format_name: str, rows: list[Record], out: Path) -> Path:
    if format_name != "json":
        return export.WRITERS[format_name](iter(rows), out)
    for row in rows:
        export.write_json(row, row["path"], out)
    return out


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lambda: tmp_path_factory.mktemp("out")


@pytest.mark.parametrize("format_name", FORMATS)
@given(vectors=VECTORS, names=st.lists(NAMES, min_size=6, max_size=6, unique=True))
def test_what_is_written_reads_back_exactly(
    format_name: str, fresh: Any, vectors: F32, names: list[str]
) -> None:
    """The same float32, bit for bit (but for the sign of zero), and the same fields."""
    names = [f"{i}/{name}" for i, name in enumerate(names)]
    rows = [record(name, vector) for name, vector in zip(names, vectors, strict=False)]
    found = read_embeddings(write(format_name, rows, fresh()))
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, vectors)
    assert found.records == [{k: v for k, v in row.items() if k != "embedding"} for row in rows]
    assert (found.model, found.pipeline, len(found)) == ("pocket", "3f9c", len(rows))


@pytest.mark.parametrize("format_name", FORMATS)
def test_denormals_and_extremes_read_back_exactly(format_name: str, tmp_path: Path) -> None:
    info = np.finfo(np.float32)
    vector = np.array(
        [info.smallest_subnormal, info.tiny, info.max, info.min, 1 / 3, 16777217, 0.1], np.float32
    )
    found = read_embeddings(write(format_name, [record("a.wav", vector)], tmp_path))
    assert found.vectors[0].tobytes() == vector.tobytes()


def test_json_has_the_fields_that_others_rely_on_first_and_the_shortest_floats(tmp_path: Path) -> None:
    path = export.write_json(
        record("kicks/808.wav", np.array([0.1, -2.5], np.float32)), "kicks/808.wav", tmp_path
    )
    assert path == tmp_path / "kicks" / "808.wav.json"
    assert path.read_bytes().startswith(
        b'{"filename":"808.wav","duration_seconds":0.731,"embedding":[0.1,-2.5],"path"'
    )


def test_segments_are_in_json_with_their_times(tmp_path: Path) -> None:
    times = np.array([[0.0, 10.0], [5.0, 15.0]])
    row = record(
        "a.wav", np.ones(2, np.float32), segments=export.segment_records(times, np.eye(2, dtype=np.float32))
    )
    segments = orjson.loads(export.write_json(row, "a.wav", tmp_path).read_bytes())["segments"]
    assert segments == [
        {"start_s": 0.0, "end_s": 10.0, "embedding": [1.0, 0.0]},
        {"start_s": 5.0, "end_s": 15.0, "embedding": [0.0, 1.0]},
    ]


def test_the_parquet_column_is_a_fixed_size_list_of_float32(tmp_path: Path) -> None:
    schema = pq.read_schema(export.write_parquet(records(), tmp_path))
    assert schema.field("embedding").type == pa.list_(pa.float32(), 4)
    assert schema.names[:4] == ["filename", "duration_seconds", "embedding", "path"]


def test_parquet_is_written_in_parts_that_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_PARQUET_ROWS", 4)
    rows = records(11)
    found = read_embeddings(export.write_parquet(iter(rows), tmp_path))
    np.testing.assert_array_equal(found.vectors, [row["embedding"] for row in rows])
    assert [row["path"] for row in found.records] == [row["path"] for row in rows]


def test_numpy_opens_with_numpy_alone_and_the_csv_quotes_what_it_must(tmp_path: Path) -> None:
    odd = 'a,"b"\r\nc\n;=1+1.wav'
    vectors = np.eye(2, dtype=np.float32)
    path = export.write_numpy([record(odd, vectors[0]), record("plain.wav", vectors[1])], tmp_path)
    np.testing.assert_array_equal(np.load(path), vectors)
    with (tmp_path / "embeddings.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [odd, "plain.wav"]
    assert list(rows[0]) == list(export.COLUMNS)


PARTS = st.one_of(
    st.text(string.ascii_letters + ".~", min_size=1, max_size=6),
    st.builds(
        "".join,
        st.lists(st.sampled_from(["a", ".wav", ".json", "~", "\udcff", "A", "é"]), min_size=1, max_size=5),
    ),
    st.integers(230, 260).map("n".ljust),
)


@example({"a.wav", "a.wav.json/b.wav", "a.wav.json~/b.wav", "a.wav.json/c/b.wav"})
@given(st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=2, max_size=8))
def test_no_two_names_share_a_place_and_none_takes_another_s_folder(names: set[str]) -> None:
    """As long as the names themselves can be files and folders side by side."""
    names = {name for name in names if not any(other.startswith(name + "/") for other in names)}
    places = {json_name(name) for name in names}
    assert len(places) == len(names)
    assert not any(other.startswith(place + "/") for place in places for other in places)
    assert all(len(os.fsencode(place.rpartition("/")[2])) <= 250 for place in places)


@pytest.mark.parametrize(
    "name",
    ["a.wav", "a.mp3", "A.WAV", "deep/er/a.wav", " .wav", "new\nline.wav", "\udcff.wav", "日本.flac", "'\"\\*?.wav",
     "n" * 251 + ".wav", "é" * 125 + ".wav", "\udcff" * 250 + ".wav", "a.json", "-o.wav", "~.wav"],
    ids=range(15),
)  # fmt: skip
def test_odd_names_are_written_and_read(name: str, tmp_path: Path) -> None:
    path = export.write_json(record(readable(name), np.ones(2, np.float32)), name, tmp_path)
    assert path.is_file()
    assert read_embeddings(tmp_path).records[0]["path"] == readable(name)


def test_bytes_that_are_no_text_stay_apart_in_the_records() -> None:
    assert readable("\udcff.wav") == "\\xff.wav"
    assert readable("\udcfe.wav") == "\\xfe.wav"
    assert readable("日本.wav") == "日本.wav"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_writer_that_breaks_off_leaves_what_was_there(format_name: str, tmp_path: Path) -> None:
    write(format_name, records(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    broken = [*records(2), {"path": "kicks/0.wav", "embedding": object()}]
    with pytest.raises((KeyError, TypeError, ValueError)):
        write(format_name, broken, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with export.atomic(tmp_path / "deep" / "x") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "deep" / "x").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]


def test_what_a_killed_writer_left_behind_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".x.tmp").write_bytes(b"longer than what comes now")
    with export.atomic(tmp_path / "x") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_place_that_cannot_be_written_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    for name in ("file/a", "folder"):
        with pytest.raises(ExportError, match=r"cannot be written"):
            export.write_json(record("a", np.ones(2, np.float32)), name, tmp_path)
    assert not list(tmp_path.glob(".*"))


DAMAGE: dict[str, bytes] = {
    "nothing": b"",
    "no json": b"not json",
    "a list": b"[1, 2]",
    "a number": b"7",
    "no vector": b'{"path": "a", "pipeline": "p", "model": "m"}',
    "no pipeline": b'{"path": "a", "model": "m", "embedding": [1, 2]}',
    "pipeline is no text": b'{"path": "a", "model": "m", "pipeline": 3, "embedding": [1, 2]}',
    "no numbers": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": ["x"]}',
    "null": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": [1, null]}',
    "infinite": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": [1e39]}',
    "nested": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": [[1], [2]]}',
    "ragged": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": [[1], [2, 3]]}',
    "empty": b'{"path": "a", "model": "m", "pipeline": "p", "embedding": []}',
}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet", ".npy"])
@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_what_holds_no_embeddings_is_an_export_error(suffix: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    with pytest.raises(ExportError, match=rf"x\{suffix}"):
        read_embeddings(path)


@pytest.mark.parametrize("format_name", FORMATS)
@given(cut=st.integers(0, 2000))
def test_a_file_cut_short_is_an_export_error(format_name: str, fresh: Any, cut: int) -> None:
    out = fresh()
    path = write(format_name, records(), out)
    path = out / "kicks" / "1.wav.json" if path.is_dir() else path
    data = path.read_bytes()
    part = data[: cut % len(data)]
    path.write_bytes(part)
    if format_name == "jsonl" and part.endswith((b"}", b"\n")):
        assert len(read_embeddings(path)) < 3 or part == data.rstrip()
    else:
        with pytest.raises(ExportError):
            read_embeddings(path)


@pytest.mark.parametrize("format_name", TABLES)
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_an_export_error_or_numbers_but_no_crash(
    format_name: str, fresh: Any, position: int, bit: int
) -> None:
    path = write(format_name, records(), fresh())
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with suppress(ExportError, PipelineMismatch):
        assert np.isfinite(read_embeddings(path).vectors).all()


def test_a_csv_of_another_length_than_its_vectors_is_an_export_error(tmp_path: Path) -> None:
    path = export.write_numpy(records(), tmp_path)
    table = tmp_path / "embeddings.csv"
    table.write_bytes(b"\r\n".join(table.read_bytes().split(b"\r\n")[:-2]))
    with pytest.raises(ExportError, match="zip"):
        read_embeddings(path)
    table.unlink()
    with pytest.raises(ExportError, match=r"embeddings\.csv"):
        read_embeddings(path)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "x.csv").write_text("path\n")
    with pytest.raises(ExportError, match="allow_pickle"):
        read_embeddings(tmp_path / "x.npy")


@pytest.mark.parametrize("format_name", FORMATS)
def test_vectors_of_two_pipelines_never_meet(format_name: str, tmp_path: Path) -> None:
    rows = records()
    rows[1]["pipeline"] = "other"
    path = write(format_name, rows, tmp_path)
    with pytest.raises(PipelineMismatch, match=r"pipeline other.*pipeline 3f9c"):
        read_embeddings(path)


@pytest.mark.parametrize("format_name", ["json", "jsonl"])
def test_vectors_of_two_lengths_are_an_export_error(format_name: str, tmp_path: Path) -> None:
    rows = records()
    rows[2]["embedding"] = np.ones(3, np.float32)
    path = write(format_name, rows, tmp_path)
    with pytest.raises(ExportError, match="3 numbers, not 4"):
        read_embeddings(path)


def test_a_folder_is_read_from_its_json_files_else_from_a_table(tmp_path: Path) -> None:
    write("parquet", records(5), tmp_path)
    (tmp_path / "notes.json").write_text('{"author": "someone"}')
    (tmp_path / "list.json").write_text("[1, 2, 3]")
    assert len(read_embeddings(tmp_path)) == 5
    write("json", records(3), tmp_path)
    assert len(read_embeddings(tmp_path)) == 3


def test_a_folder_with_one_damaged_json_is_an_export_error_that_names_it(tmp_path: Path) -> None:
    write("json", records(), tmp_path)
    (tmp_path / "kicks" / "1.wav.json").write_bytes(b'{"filename":')
    with pytest.raises(ExportError, match=r"1\.wav\.json"):
        read_embeddings(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "x.txt", "."])
def test_nothing_to_read_is_an_export_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(ExportError):
        read_embeddings(tmp_path / name)


@pytest.mark.parametrize("format_name", TABLES)
def test_a_table_of_no_rows(format_name: str, tmp_path: Path) -> None:
    if format_name == "parquet":  # without a row the size of its vectors is not known
        with pytest.raises(ExportError, match="nothing to write"):
            write(format_name, [], tmp_path)
        assert not list(tmp_path.iterdir())
    else:
        with pytest.raises(ExportError, match="no embeddings here"):
            read_embeddings(write(format_name, [], tmp_path))
