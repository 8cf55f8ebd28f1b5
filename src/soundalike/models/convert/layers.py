"""Layers made from a state dict: a name in, the layer with those weights out.

A network is built straight from the published tensors, so its sizes are theirs, and a tensor that is not there
is a `KeyError` that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

State = Mapping[str, Tensor]


def part(state: State, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def count(state: State, prefix: str) -> int:
    """How many numbered children ``prefix`` has, as ``layers.0`` and ``layers.1`` are two of ``layers.``."""
    numbers = {name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)}
    return sum(number.isdigit() for number in numbers)


def linear(state: State, name: str) -> nn.Linear:
    """Matrix (out, in), and bias if there is one."""
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    return _filled(layer, weight, bias)


def layer_norm(state: State, name: str, eps: float = 1e-5) -> nn.LayerNorm:
    """Layer normalization over the last axis."""
    weight = state[f"{name}.weight"]
    return _filled(nn.LayerNorm(weight.shape[0], eps), weight, state[f"{name}.bias"])


def conv2d(state: State, name: str, stride: int | tuple[int, int] = 1, padding: int = 0) -> nn.Conv2d:
    """Convolution over time and frequency."""
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride, padding, bias=bias is not None)
    return _filled(layer, weight, bias)


def depthwise(state: State, name: str, stride: int, padding: int) -> nn.Conv2d:
    """Convolution of each channel by itself."""
    weight = state[f"{name}.weight"]
    n = weight.shape[0]
    return _filled(nn.Conv2d(n, n, weight.shape[2:], stride, padding, groups=n, bias=False), weight, None)


def affine(state: State, name: str, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Scale and shift that a batch normalization amounts to once trained; a missing scale is 1."""
    mean, variance = state[f"{name}.running_mean"].double(), state[f"{name}.running_var"].double()
    scale = state.get(f"{name}.weight", torch.ones_like(mean)).double() / torch.sqrt(variance + eps)
    shift = state[f"{name}.bias"].double() - mean * scale
    return scale.float(), shift.float()


def batch_norm(state: State, name: str, eps: float = 1e-5) -> nn.BatchNorm2d:
    """Batch normalization as trained; the exporter folds it into the convolution before it."""
    mean = state[f"{name}.running_mean"]
    layer = nn.BatchNorm2d(mean.shape[0], eps)
    own = {"running_mean": mean, "running_var": state[f"{name}.running_var"], "bias": state[f"{name}.bias"]}
    layer.load_state_dict(own | {"weight": state.get(f"{name}.weight", torch.ones_like(mean))}, strict=False)
    return layer.eval()


class Project(nn.Module):
    """Two linear layers and what stands between them: the last step of LAION's CLAP."""

    def __init__(self, state: State, prefix: str) -> None:
        super().__init__()
        self.linear1, self.linear2 = linear(state, f"{prefix}linear1"), linear(state, f"{prefix}linear2")

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) to (n, dim)."""
        return self.linear2(functional.relu(self.linear1(x)))


class ProjectNorm(nn.Module):
    """The last step of Microsoft's CLAP: a residual pair and a layer normalization."""

    def __init__(self, state: State, prefix: str) -> None:
        super().__init__()
        self.linear1, self.linear2 = linear(state, f"{prefix}linear1"), linear(state, f"{prefix}linear2")
        self.norm = layer_norm(state, f"{prefix}layer_norm")

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) to (n, dim)."""
        x = self.linear1(x)
        return self.norm(x + self.linear2(functional.gelu(x)))


def _filled(layer: Any, weight: Tensor, bias: Tensor | None) -> Any:
    """Give a layer its tensors."""
    layer.weight = nn.Parameter(weight.float(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.float(), requires_grad=False)
    return layer
