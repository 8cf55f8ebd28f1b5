"""Run a network file; the only importer of ONNX Runtime and OpenVINO.

One thread per session call: files run side by side, one per core, so a second level of threads would only
make them wait for each other. A session may be called from many threads at once and lets go of the
interpreter lock.
"""

from __future__ import annotations

import hashlib
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from soundalike.errors import DeviceError, ModelError

Precision = Literal["fp32", "bf16"]
PROVIDERS = {  # of ONNX Runtime: what runs a network there, and what to install for it
    "cuda": ("CUDAExecutionProvider", "an NVIDIA card, and in place of onnxruntime: pip install onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "a Mac"),
    "directml": ("DmlExecutionProvider", "Windows, and in place of onnxruntime: pip install onnxruntime-directml"),
}
DEVICES = ("auto", "cpu", *PROVIDERS, "openvino", "openvino-bf16")


def precision_of(device: str) -> Precision:
    """In which numbers a device computes: those of another precision are another pipeline."""
    return "bf16" if device == "openvino-bf16" else "fp32"


class Session:
    """A network, loaded and checked; it runs one sound, or line, at a time.

    Parameters
    ----------
    path : ONNX file
    sha256 : what the file's bytes must hash to
    device : one of `DEVICES`; "auto" is "cpu", whose vectors are the same on every machine

    Raises
    ------
    DeviceError
        if there is no such device here; the message says what to install
    ModelError
        if the file is damaged, or is no network
    """

    def __init__(self, path: Path, sha256: str, device: str = "auto") -> None:
        if device not in DEVICES:
            raise DeviceError(f"Unknown device {device!r}. Devices: {', '.join(DEVICES)}")
        graph = read_checked(path, sha256)
        engine = _OpenVino if device.startswith("openvino") else _OnnxRuntime
        self._engine = engine(graph, path, device)
        self.inputs = self._engine.inputs

    def run(self, *arrays: np.ndarray[Any, Any], output: str | None = None) -> np.ndarray[Any, Any]:
        """The first output, or the one of that name, for the given inputs, in the order of the file."""
        try:
            return np.asarray(self._engine.run(dict(zip(self.inputs, arrays, strict=True)), output))
        except Exception as error:  # wrong shapes or types
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ModelError(f"The network does not take arrays of the shapes {shapes}: {error}") from error


class _OnnxRuntime:
    def __init__(self, graph: bytes, path: Path, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        wanted = _provider(device, onnxruntime.get_available_providers())
        if device == "directml":
            options.enable_mem_pattern = False  # it does not take it
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=wanted)
        except Exception as error:  # ONNX Runtime has no public tree of errors
            raise ModelError(f"{path}: not a network that ONNX Runtime can load: {error}") from error
        if self._session.get_providers()[0] != wanted[0]:  # it falls back without a word
            raise DeviceError(f"{device} is here but cannot be used: its driver or libraries are missing or too old.")
        self.inputs = [put.name for put in self._session.get_inputs()]

    def run(self, inputs: dict[str, np.ndarray[Any, Any]], output: str | None) -> Any:
        return self._session.run(None if output is None else [output], inputs)[0]


def _provider(device: str, available: list[str]) -> list[str]:
    if device not in PROVIDERS:
        return ["CPUExecutionProvider"]
    provider, needs = PROVIDERS[device]
    if provider not in available:
        raise DeviceError(f"{device} is not available here. It needs {needs}")
    return [provider, "CPUExecutionProvider"]  # operators that it lacks run on the CPU


class _OpenVino:
    """OpenVINO on the CPU, in single precision unless bfloat16 is asked for: left alone, it chooses by the machine."""

    def __init__(self, graph: bytes, path: Path, device: str) -> None:
        if find_spec("openvino") is None:
            raise DeviceError("openvino is not available here. It needs: pip install 'soundalike[openvino]'")
        import openvino

        # The first look into a tensor makes OpenVINO's table of types; of two threads that look first at the same
        # time, one holds the table and waits for Python, the other holds Python and waits for the table.
        np.array(openvino.Tensor(openvino.Type.f32, [1]).data)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision_of(device) == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        }  # fmt: skip
        try:
            model = openvino.Core().read_model(graph, b"")
            one = {put: [1, *list(put.partial_shape)[1:]] for put in model.inputs}
            model.reshape({put: openvino.PartialShape(shape) for put, shape in one.items()})  # a fifth less time
            self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(f"{path}: not a network that OpenVINO can load: {error}") from error
        self.inputs = [put.any_name for put in model.inputs]
        self._names = [put.any_name for put in model.outputs]
        self._here = threading.local()  # a request serves one thread

    def run(self, inputs: dict[str, np.ndarray[Any, Any]], output: str | None) -> Any:
        if not hasattr(self._here, "request"):
            self._here.request = self._compiled.create_infer_request()
        self._here.request.infer(inputs)
        at = 0 if output is None else self._names.index(output)
        return np.array(self._here.request.get_output_tensor(at).data)


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
