"""Published weight files to state dicts, and nothing but tensors out of any of them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundalike.errors import MissingExtra, ModelError

WRAPPERS = ("model", "model_state", "state_dict")  # under which training scripts put the weights


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a weight file by name: safetensors, a torch pickle, Keras' HDF5 or a TensorFlow checkpoint.

    A pickle is read with ``weights_only``: it can hold numbers and containers, and can run nothing.

    Raises
    ------
    ModelError
        if the file holds anything but weights
    """
    readers = {".safetensors": _safetensors, ".h5": _keras, ".index": _tensorflow}
    try:
        state = readers.get(path.suffix or path.name, _pickle)(path)  # a checkpoint may be called ".index" alone
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, OSError, EOFError) as error:
        raise ModelError(f"{path}: not a file of weights that can be read safely: {error}") from error
    return {name.removeprefix("module."): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtra("safetensors", "convert") from error
    return dict(load_file(path))


def _pickle(path: Path) -> dict[str, Tensor]:
    core = import_module("numpy._core.multiarray" if np.__version__ >= "2" else "numpy.core.multiarray")
    numbers = (core.scalar, "numpy.core.multiarray.scalar")  # counters that numpy wrote, in some files
    allowed: list[Any] = [numbers, np.dtype, np.dtypes.Int64DType]
    with torch.serialization.safe_globals(allowed):
        found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, (tuple, list)):
        found = found[0]
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping):
        raise ValueError(f"a {type(found).__name__} in place of named tensors")
    return dict(found)


def _keras(path: Path) -> dict[str, Tensor]:
    """Weights of a Keras model: the name of the layer, a dot, and ``kernel``, ``beta`` and so on."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "convert") from error
    state: dict[str, Tensor] = {}
    with h5py.File(path, "r") as file:
        for layer in file.attrs["layer_names"]:
            group = file[_text(layer)]
            for name in group.attrs["weight_names"]:
                short = _text(name).rsplit("/", 1)[-1].removesuffix(":0")
                state[f"{_text(layer)}.{short}"] = torch.from_numpy(np.asarray(group[_text(name)], np.float32))
    return state


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _tensorflow(path: Path) -> dict[str, Tensor]:
    """Variables of a TensorFlow checkpoint, without those of its optimizer."""
    from soundalike.models.convert.tensorflow import read_bundle

    return {name: torch.from_numpy(array) for name, array in read_bundle(path).items()}
