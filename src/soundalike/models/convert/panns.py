"""Convolutional networks with PANNs' pooling: Cnn14 and MobileNetV1 (Kong et al., 2020), CLAP of 2022, aiSFX.

Max and mean over time stand side by side in all of them; the mean over frequency comes first.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import (
    ProjectNorm,
    State,
    affine,
    batch_norm,
    conv2d,
    count,
    depthwise,
    linear,
    part,
)


class Cnn14(nn.Module):
    """Log-mel (n, 64, n_frames), at least 32 frames, to vectors (n, 2048)."""

    fixed = False

    def __init__(self, state: State, project: nn.Module | None = None) -> None:
        super().__init__()
        self.norm = BandNorm(state)
        n = sum(name.startswith("conv_block") and name.endswith("conv1.weight") for name in state)
        self.blocks = nn.ModuleList(ConvBlock(state, f"conv_block{i + 1}.") for i in range(n))
        self.fc = linear(state, "fc1")
        self.project = project or nn.Identity()

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, dim)."""
        x = self.norm(mel)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i + 1 < len(self.blocks):  # the last block pools nothing
                x = functional.avg_pool2d(x, 2)
        return self.project(functional.relu(self.fc(max_and_mean(x))))


class MobileNetV1(nn.Module):
    """Log-mel (n, 64, n_frames), at least 32 frames, to vectors (n, 1024)."""

    fixed = False
    STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)

    def __init__(self, state: State) -> None:
        super().__init__()
        self.norm = BandNorm(state)
        first, *rest = (f"features.{i}." for i in range(count(state, "features.")))
        layers: list[nn.Module] = [conv2d(state, f"{first}0", padding=1), nn.AvgPool2d(self.STRIDES[0])]
        layers += [batch_norm(state, f"{first}2"), nn.ReLU()]
        for name, stride in zip(rest, self.STRIDES[1:], strict=True):
            pool = [nn.AvgPool2d(stride)] if stride > 1 else []  # where the original has a stride, it averages
            layers += [depthwise(state, f"{name}0", 1, 1), *pool, batch_norm(state, f"{name}2"), nn.ReLU()]
            layers += [conv2d(state, f"{name}4"), batch_norm(state, f"{name}5"), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.fc = linear(state, "fc1")

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, dim)."""
        return functional.relu(self.fc(max_and_mean(self.features(self.norm(mel)))))


class Aisfx(nn.Module):
    """Log-mel (n, 96, 100) of 2.3 s to vectors (n, 512): Ma and Lerch, ISMIR 2022."""

    fixed = False

    def __init__(self, state: State) -> None:
        super().__init__()
        n = sum(name.startswith("conv_block") and name.endswith("conv1.weight") for name in state)
        self.blocks = nn.ModuleList(ConvBlock(state, f"conv_block{i + 1}.") for i in range(n))

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, dim)."""
        x = mel.transpose(1, 2)[:, None]
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i + 1 < len(self.blocks):
                x = functional.max_pool2d(x, 2)
        return x.mean(3).amax(2)


class BandNorm(nn.Module):
    """Normalize each band of (n, n_mels, n_frames) as in training; give an image (n, 1, n_frames, n_mels)."""

    def __init__(self, state: State) -> None:
        super().__init__()
        scale, shift = affine(state, "bn0")
        self.scale, self.shift = (nn.Parameter(tensor, requires_grad=False) for tensor in (scale, shift))

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, 1, n_frames, n_mels)."""
        return (mel.transpose(1, 2) * self.scale + self.shift)[:, None]


class ConvBlock(nn.Module):
    """Two convolutions of 3 by 3, each with its batch norm."""

    def __init__(self, state: State, prefix: str) -> None:
        super().__init__()
        self.conv1, self.conv2 = (conv2d(state, f"{prefix}conv{i}", padding=1) for i in (1, 2))
        self.norm1, self.norm2 = (batch_norm(state, f"{prefix}bn{i}") for i in (1, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(n, d, n_frames, n_mels) to another d."""
        return functional.relu(self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x))))))


def max_and_mean(x: Tensor) -> Tensor:
    """Mean over frequency, then the sum of maximum and mean over time: (n, d, n_frames, n_mels) to (n, d)."""
    x = x.mean(3)
    return x.amax(2) + x.mean(2)


def cnn14(state: State) -> Cnn14:
    """Cnn14_mAP=0.431.pth and Cnn14_16k_mAP=0.438.pth."""
    return Cnn14(state)


def microsoft(state: State) -> Cnn14:
    """The audio tower of CLAP_weights_2022.pth."""
    return Cnn14(part(state, "audio_encoder.base."), ProjectNorm(state, "audio_encoder.projection."))


def aisfx(state: State) -> Aisfx:
    """The embedding network of aiSFX's checkpoint.pth; its nine classifiers are left out."""
    return Aisfx(part(state, "embedding_net."))


