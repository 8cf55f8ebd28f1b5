"""Networks with random weights, for the live comparisons, and for the golden networks that these leave behind.

    GOLDEN=tests/golden/networks pytest tests/live/test_convert.py -m torch

writes them. Their weights are of two values a matrix, so that a file of a hundred thousand of them is small.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = os.environ.get("GOLDEN")
MOST_BYTES = 600_000  # of a golden network; larger ones are compared live only

SMALL_CLAP: dict[str, Any] = {
    "patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [2, 2, 3, 2], "num_attention_heads": [1, 2, 4, 8],
    "projection_dim": 32, "projection_hidden_size": 32,
}  # fmt: skip


def seeded(net: Any, seed: int = 0) -> Any:
    """Random weights, biases and statistics, as lively as trained ones."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        for name, tensor in module.named_parameters(recurse=False):
            if tensor.ndim >= 2:
                fan = tensor[0].numel()
                spread = (2 / fan) ** 0.5 if fan > 1 else 0.5
                tensor.data.normal_(0, spread, generator=generator)
                if GOLDEN:
                    tensor.data = tensor.data.sign() * spread
            elif "bias" in name:
                tensor.data.normal_(0, 0.1, generator=generator)
            else:
                tensor.data.uniform_(0.8, 1.2, generator=generator)
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.7, 1.4, generator=generator)
    return net.eval()


def decibels(*shape: int, seed: int = 1) -> Any:
    """What a mel spectrogram in decibels looks like to a network."""
    import torch

    mel = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 12 - 25
    return mel.round() if GOLDEN else mel


def narrowed(net: Any, by: int = 16) -> Any:
    """For a golden network, the same with a fraction of the channels; what is fixed in its code keeps its layers."""
    if not GOLDEN:
        return net
    import torch

    def fewer(n: int) -> int:
        return n if n == 1 else max(n // by, 2)

    for name, module in net.named_children():
        if isinstance(module, torch.nn.Conv2d):
            groups = fewer(module.in_channels) if module.groups > 1 else 1
            padding = {"padding": module.padding} if type(module) is torch.nn.Conv2d else {}  # YAMNet's has its own
            new: Any = type(module)(
                fewer(module.in_channels), fewer(module.out_channels), module.kernel_size, module.stride,
                groups=groups, bias=module.bias is not None, **padding,
            )  # fmt: skip
        elif isinstance(module, torch.nn.Linear):
            new = torch.nn.Linear(fewer(module.in_features), fewer(module.out_features), module.bias is not None)
        elif isinstance(module, torch.nn.BatchNorm2d) and name != "bn0":  # over mel bands
            new = torch.nn.BatchNorm2d(fewer(module.num_features), module.eps)
        else:
            new = narrowed(module, by)
        setattr(net, name, new)
    return net


def keep(name: str, graph: Path, x: Any, expected: Any) -> None:
    """Write a golden network, if that is asked for and it is small: the graph, an input, the reference's output."""
    if not GOLDEN:
        return
    path = Path(GOLDEN) / f"{name}.npz"
    network = np.frombuffer(graph.read_bytes(), np.uint8)
    first = expected[0] if isinstance(expected, tuple) else expected
    np.savez_compressed(path, graph=network, x=np.asarray(x), expected=first.numpy())
    if path.stat().st_size > MOST_BYTES:
        path.unlink()
