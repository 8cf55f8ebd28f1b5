"""Torch network to ONNX file: traced, rounded if asked for, compared, and only then kept."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from soundalike.errors import ModelError

OPSET = 17  # layer normalization as one operator; the newest that DirectML takes
LOWEST_COSINE = {"fp32": 0.999999, "int8": 0.99}


def to_onnx(
    net: nn.Module, example: Tensor, name: str, axes: dict[int, str], extra: tuple[str, ...] = ()
) -> Any:
    """Trace a network of one input.

    Parameters
    ----------
    net : in eval mode
    example : any input of the right kind
    name : of the input
    axes : axes of the input that stay free, by number
    extra : names of outputs after "vector"
    """
    buffer = io.BytesIO()
    outputs = ["vector", *extra]
    dynamic = {name: axes} | {output: {0: "n"} for output in outputs}
    dynamic |= {output: {0: "n", 1: "n_frames"} for output in extra}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's, about sizes that are meant to be constant
        torch.onnx.export(
            net, (example,), buffer, input_names=[name], output_names=outputs, dynamic_axes=dynamic,
            opset_version=OPSET, do_constant_folding=True, dynamo=False,
        )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def write(
    net: nn.Module, examples: list[Tensor], name: str, axes: dict[int, str], path: Path, precision: str,
    extra: tuple[str, ...] = (),
) -> float:  # fmt: skip
    """Write a network, if the file gives what torch gives for all examples; the smallest cosine between them.

    Raises
    ------
    ModelError
        if they disagree; nothing is written then
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".convert-") as folder:
        made = Path(folder) / path.name
        onnx.save(to_onnx(net, examples[0], name, axes, extra), made)
        if precision == "int8":
            made = _rounded(made)
        cosine, worst = compare(net, made, examples)
        if not cosine >= LOWEST_COSINE[precision]:
            raise ModelError(
                f"{path.name}: not kept: in {precision} its vectors have cosine {cosine:.6f} with those of torch and "
                f"differ by up to {worst:.1e}; at least {LOWEST_COSINE[precision]} is asked for"
            )
        made.replace(path)
    return cosine


def compare(net: nn.Module, path: Path, examples: list[Tensor]) -> tuple[float, float]:
    """Smallest cosine and largest difference between torch's outputs and the file's, over all examples."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (put,) = session.get_inputs()
    cosine, worst = 1.0, 0.0
    for example in examples:
        with torch.no_grad():
            expected = net(example)
        all_expected = expected if isinstance(expected, tuple) else (expected,)
        for one, found in zip(all_expected, session.run(None, {put.name: example.numpy()}), strict=True):
            a, b = (array.reshape(-1, array.shape[-1]).astype(np.float64) for array in (one.numpy(), found))
            worst = max(worst, float(np.abs(a - b).max()))
            cosines = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-30)
            cosine = min(cosine, float(cosines.min()))
    return cosine, worst


def _rounded(path: Path) -> Path:
    """The same graph with the matrices of its products, and its look-up tables, in 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    out = path.with_suffix(".int8.onnx")
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))
    quantize_dynamic(
        path, out, op_types_to_quantize=["MatMul", "Gemm", "Gather"], per_channel=True, weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip
    return out.replace(path)
