"""The order of the rooms: who may import whom, and who owns each heavy package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "soundalike"
ROOMS = [  # a module imports only from lines above its own, and from its own line
    ["errors"],
    ["types", "canvas", "parallel", "readable"],
    ["_container", "_decode", "audio", "level", "loudness", "tags"],
    ["segments", "frontend", "features", "aspects", "runtime"],
    ["models"],
    ["encoder"],
    ["embed", "export", "folders", "nearest"],
    ["transcode", "waveform"],
    ["journal", "selftest", "pulling"],
    ["classify", "clusters", "duplicates", "map2d", "recommend", "speech"],
    ["batch", "library"],
    ["push", "web"],
    ["cli"],
]
OWNERS = {
    "av": {"_container", "_decode", "audio", "transcode"},
    "soxr": {"audio", "transcode"},
    "onnxruntime": {"runtime", "models.convert.graph"},
    "openvino": {"runtime"},
    "tokenizers": {"encoder"},
    "pyarrow": {"export", "push.lance"},
    "sqlite3": {"journal", "library"},
    "usearch": {"library.index", "map2d"},
    "sklearn": {"classify", "clusters"},
    "click": {"cli"},
    "rich": {"cli"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "pydantic": {"web"},
    "uvicorn": {"web"},
    "qdrant_client": {"push.qdrant"},
    "pinecone": {"push.pinecone"},
    "psycopg": {"push.postgres"},
    "pgvector": {"push.postgres"},
    "weaviate": {"push.weaviate"},
    "chromadb": {"push.chroma"},
    "pymilvus": {"push.milvus"},
    "lancedb": {"push.lance"},
    "httpx": {"push.chroma"},
    "grpc": {"push.milvus"},
    "torch": {"models.convert"},
    "onnx": {"models.convert"},
    "safetensors": {"models.convert"},
    "h5py": {"models.convert"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> int:
    return next((i for i, line in enumerate(ROOMS) if module.split(".")[0] in line), -1)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "soundalike"}
    return found


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"], ids=name_of
)
def test_rooms_import_only_from_above(path: Path) -> None:
    name = name_of(path)
    assert room_of(name) >= 0, f"{name} has no place in ROOMS"
    for target in imports_of(path):
        package, _, module = target.partition(".")
        if package == "soundalike" and module and module != "__version__":
            assert room_of(module) <= room_of(name), f"{name} imports {module}, which lies below it"
        if package in OWNERS:
            owners = OWNERS[package]
            is_owner = any(name == owner or name.startswith(f"{owner}.") for owner in owners)
            assert is_owner, f"{package} belongs to {owners}, not to {name}"


def test_the_drawing_of_the_house_has_every_room() -> None:
    text = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawing = text.partition("    src/soundalike/\n")[2].partition("    frontend/")[0]
    missing = [room for line in ROOMS for room in line if not re.search(rf"\b{room}\b[./, ]", drawing)]
    assert missing == []


def test_help_imports_nothing_heavy() -> None:
    heavy = {
        "numpy", "scipy", "av", "soxr", "onnxruntime", "pyarrow", "tokenizers", "rich", "sqlite3", "usearch", "sklearn",
        "fastapi", "uvicorn", "pydantic",
    }  # fmt: skip
    code = (
        "import sys; from soundalike.cli import main; main(['--help'], standalone_mode=False);"
        f"print('heavy:', sorted({heavy!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert "heavy: []" in done.stdout
