"""VGGish (Hershey et al., ICASSP 2017) and YAMNet: Google's networks on patches of 96 frames."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import State, batch_norm, conv2d, depthwise, linear


class Vggish(nn.Module):
    """Log-mel (n, 64, 96) to vectors (n, 128), before the last activation, as TensorFlow's model gives them.

    The port torchvggish adds a ReLU, which clips half of the numbers to zero.
    """

    fixed = True
    POOLED = (0, 3, 8, 13)  # convolutions that a pooling follows

    def __init__(self, state: State) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in (0, 3, 6, 8, 11, 13):
            layers += [conv2d(state, f"features.{i}", padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i in self.POOLED else []
        self.features = nn.Sequential(*layers)
        self.dense = nn.ModuleList(linear(state, f"embeddings.{i}") for i in (0, 2, 4))

    def forward(self, mel: Tensor) -> Tensor:
        """(n, 64, 96) to (n, 128)."""
        x = self.features(mel.transpose(1, 2)[:, None]).permute(0, 2, 3, 1).flatten(1)  # TensorFlow's order
        first, second, last = self.dense
        return last(functional.relu(second(functional.relu(first(x)))))


class Yamnet(nn.Module):
    """Log-mel (n, 64, 96) to vectors (n, 1024)."""

    fixed = True
    STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    EPS = 1e-4

    def __init__(self, state: State) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, stride in enumerate(self.STRIDES):
            pad = nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1)  # TensorFlow pads after, not before
            if i == 0:
                layers += [pad, conv2d(state, "layer1.fused.conv", stride), self._norm(state, "layer1.fused")]
                continue
            deep, point = f"layer{i + 1}.depthwise_conv.fused", f"layer{i + 1}.pointwise_conv.fused"
            deep, point = (name if f"{name}.conv.weight" in state else name[:-6] for name in (deep, point))
            layers += [pad, depthwise(state, f"{deep}.conv", stride, 0), self._norm(state, deep)]
            layers += [conv2d(state, f"{point}.conv"), self._norm(state, point)]
        self.features = nn.Sequential(*layers)

    def _norm(self, state: State, name: str) -> nn.Module:
        return nn.Sequential(batch_norm(state, f"{name}.bn", self.EPS), nn.ReLU())

    def forward(self, mel: Tensor) -> Tensor:
        """(n, 64, 96) to (n, 1024)."""
        return self.features(mel.transpose(1, 2)[:, None]).mean((2, 3))


def yamnet(state: State) -> Yamnet:
    """yamnet.h5 of tensorflow/models, or a torch file with the names of torch_audioset."""
    return Yamnet(state if "layer1.fused.conv.weight" in state else _from_keras(state))


def _from_keras(state: State) -> dict[str, Tensor]:
    """Keras' names and axes (height, width, in, out) to torch's."""
    kinds = {"beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var", "gamma": "weight"}
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        layer = layer.replace("layer1/conv", "layer1/fused/conv").replace("/conv/bn", "/bn").replace("/", ".")
        if kind in kinds:
            layer = layer.removesuffix(".bn")
            found[f"{layer}.bn.{kinds[kind]}"] = tensor
        elif kind == "depthwise_kernel":
            found[f"{layer}.conv.weight"] = tensor.permute(2, 3, 0, 1).contiguous()
        elif kind == "kernel" and tensor.ndim == 4:
            layer = layer.removesuffix(".conv")
            found[f"{layer}.conv.weight"] = tensor.permute(3, 2, 0, 1).contiguous()
    return found
