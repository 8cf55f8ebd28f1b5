"""musicnn (Pons and Serra, ISMIR 2019 late-breaking): timbral and temporal filters, then dense layers on 3 s."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import State, affine, linear

EPS = 1e-3  # of TensorFlow's batch normalization


class Musicnn(nn.Module):
    """Log-mel (n, 96, n_frames) to the penultimate layer (n, 200).

    Ten batch normalizations and seven convolutions, numbered as TensorFlow numbered them.
    """

    fixed = False

    def __init__(self, state: State) -> None:
        super().__init__()
        self.norms = nn.ModuleList(Affine(state, f"batch_normalization{_number(i)}") for i in range(11))
        self.convs = nn.ModuleList(linear_conv(state, f"conv2d{_number(i)}") for i in range(8))
        self.dense = linear({"dense.weight": state["dense.weight"].T, "dense.bias": state["dense.bias"]}, "dense")

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, 200)."""
        x = self.norms[0](mel.transpose(1, 2)[:, None])
        front = torch.cat([*(self._timbre(x, i) for i in (0, 1)), *(self._tempo(x, i) for i in (2, 3, 4))], 1)
        first = self._dense_conv(front, 5)
        second = self._dense_conv(first, 6) + first
        third = self._dense_conv(second, 7) + second
        x = torch.cat([front, first, second, third], 1)
        pooled = torch.stack([x.amax(2), x.mean(2)], 2).flatten(1)
        return self.norms[10](functional.relu(self.dense(self.norms[9](pooled))))

    def _timbre(self, x: Tensor, i: int) -> Tensor:
        """Tall filters over seven frames; the best place in frequency counts."""
        y = functional.relu(self.convs[i](functional.pad(x, (0, 0, 3, 3))))
        return self.norms[i + 1](y).amax(3)

    def _tempo(self, x: Tensor, i: int) -> Tensor:
        """Long filters over one band; TensorFlow pads an even length by one more at the end."""
        n = self.convs[i].kernel_size[0]
        y = functional.relu(self.convs[i](functional.pad(x, (0, 0, (n - 1) // 2, n // 2))))
        return self.norms[i + 1](y).amax(3)

    def _dense_conv(self, x: Tensor, i: int) -> Tensor:
        """Seven frames of all channels (n, d, t) to 64 new ones."""
        y = self.convs[i](functional.pad(x.transpose(1, 2)[:, None], (0, 0, 3, 3)))[:, :, :, 0]
        return self.norms[i + 1](functional.relu(y))


class Affine(nn.Module):
    """A batch normalization after training, over axis 1."""

    def __init__(self, state: State, name: str) -> None:
        super().__init__()
        kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        scale, shift = affine({f"x.{ours}": state[f"{name}.{theirs}"] for ours, theirs in kinds.items()}, "x", EPS)
        self.scale, self.shift = (nn.Parameter(tensor, requires_grad=False) for tensor in (scale, shift))

    def forward(self, x: Tensor) -> Tensor:
        """Any (n, d, …) to the same shape."""
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return x * self.scale.reshape(shape) + self.shift.reshape(shape)


def linear_conv(state: State, name: str) -> nn.Conv2d:
    """Convolution from TensorFlow's axes (height, width, in, out)."""
    weight = state[f"{name}.weight"].permute(3, 2, 0, 1).contiguous()
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:])
    layer.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
    return layer


def musicnn(state: State) -> Musicnn:
    """The folder MSD_musicnn or MTT_musicnn of the package musicnn."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition("/")
        kind = {"kernel": "weight", "bias": "bias"}.get(kind, kind)
        found[f"{layer.split('/')[-1]}.{kind}"] = tensor
    return Musicnn(found)


def _number(i: int) -> str:
    return f"_{i}" if i else ""
