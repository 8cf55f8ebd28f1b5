"""Run a network file; the only importer of ONNX Runtime.

One thread per session call: files run side by side, one per core, so a second level of threads would only
make them wait for each other. A session may be called from many threads at once and lets go of the
interpreter lock.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from soundalike.errors import DeviceError, ModelError

DEVICES = ("auto", "cpu")


class Session:
    """A network, loaded and checked.

    Parameters
    ----------
    path : ONNX file
    sha256 : what the file's bytes must hash to
    device : "auto" or "cpu"
    """

    def __init__(self, path: Path, sha256: str, device: str = "auto") -> None:
        import onnxruntime

        if device not in DEVICES:
            raise DeviceError(f"Unknown device {device!r}. Devices: {', '.join(DEVICES)}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        graph = read_checked(path, sha256)
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no public tree of errors
            raise ModelError(f"{path}: not a network that ONNX Runtime can load: {error}") from error
        self.inputs = [put.name for put in self._session.get_inputs()]

    def run(self, *arrays: np.ndarray[Any, Any], output: str | None = None) -> np.ndarray[Any, Any]:
        """The first output, or the one of that name, for the given inputs, in the order of the file."""
        wanted = None if output is None else [output]
        try:
            return np.asarray(self._session.run(wanted, dict(zip(self.inputs, arrays, strict=True)))[0])
        except Exception as error:  # wrong shapes or types
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ModelError(f"The network does not take arrays of the shapes {shapes}: {error}") from error


def read_checked(path: Path, sha256: str) -> bytes:
    """Bytes of a model file, if they are the ones that the card promises."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: a model file cannot be read ({error}). Reinstall soundalike.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(f"{path}: damaged: sha256 is {found}, the card says {sha256}. Reinstall soundalike.")
    return data
