"""Published packages to compare with, each without the packages of its year.

They lie by themselves, installed without what they ask for, in a folder that `make test-torch` fills; a test of what
is not there is skipped. Two are in no package: clone github.com/qiuqiangkong/audioset_tagging_cnn and
github.com/fschmid56/EfficientAT (which wants torchvision) into that folder to have them too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

REFERENCES = Path(os.environ.get("SOUNDALIKE_REFERENCES", Path(sys.prefix) / "references"))


def stand_in(name: str) -> Any:
    """A module in name only."""
    module = mock.MagicMock()
    module.__spec__, module.__path__ = ModuleSpec(name, None), []
    return module


@contextmanager
def reference(package: str, *absent: str) -> Iterator[Any]:
    """Import a package from the folder of references, with stand-ins for others that its networks do not use."""
    if not (REFERENCES / package).is_dir():
        pytest.skip(f"{package} is not in {REFERENCES}")
    with _importing(REFERENCES, absent) as load:
        yield load


@contextmanager
def clone(folder: str, *absent: str) -> Iterator[Any]:
    """Import modules from the clone of a repository that is no package; they are forgotten afterwards."""
    path = REFERENCES / folder
    if not path.is_dir():
        pytest.skip(f"{folder} is not in {REFERENCES}")
    before = set(sys.modules)
    try:
        with _importing(path, absent) as load:
            yield load
    finally:  # "models" is a name that others have too
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(path)):
                del sys.modules[name]


@contextmanager
def _importing(path: Path, absent: tuple[str, ...]) -> Iterator[Any]:
    fakes = {name: stand_in(name) for name in absent if name not in sys.modules}
    sys.modules.update(fakes)
    try:
        with mock.patch.object(sys, "path", [str(path), *sys.path]):
            yield import_module
    finally:  # transformers must not find the stand-ins later
        for name in fakes:
            del sys.modules[name]
