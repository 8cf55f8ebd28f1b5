"""EfficientAT's MobileNetV3 (Howard et al., 2019; Schmid et al., ICASSP 2023): mn04_as, mn10_as.

The module has the layout of the published weights, which load as they are; the pocket model grew from it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundalike.models.convert.layers import State

# in, kernel, expanded, out, squeeze-and-excitation, hard swish, stride: table 1 of the MobileNetV3 paper
BLOCKS = (
    (16, 3, 16, 16, False, False, 1),
    (16, 3, 64, 24, False, False, 2),
    (24, 3, 72, 24, False, False, 1),
    (24, 5, 72, 40, True, False, 2),
    (40, 5, 120, 40, True, False, 1),
    (40, 5, 120, 40, True, False, 1),
    (40, 3, 240, 80, False, True, 2),
    (80, 3, 200, 80, False, True, 1),
    (80, 3, 184, 80, False, True, 1),
    (80, 3, 184, 80, False, True, 1),
    (80, 3, 480, 112, True, True, 1),
    (112, 3, 672, 112, True, True, 1),
    (112, 5, 672, 160, True, True, 2),
    (160, 5, 960, 160, True, True, 1),
    (160, 5, 960, 160, True, True, 1),
)


def _channels(n: float) -> int:
    """Nearest multiple of 8 that is not more than 10 % below ``n``."""
    rounded = max(8, int(n + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * n else rounded


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation, activation."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, groups: int, act: nn.Module | None) -> None:
        conv = nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        norm = nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01)
        super().__init__(conv, norm, *([act] if act else []))


class ChannelGate(nn.Module):
    """Squeeze-and-excitation over channels."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n, _channels(n // 4)), nn.Linear(_channels(n // 4), n)

    def forward(self, x: Tensor) -> Tensor:
        """(n, d, h, w) to the same shape."""
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class GateList(nn.Module):
    """One gate, under the name that the published weights give it."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([ChannelGate(n)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, d, h, w) to the same shape."""
        return self.conc_se_layers[0](x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, gate, project; add the input where shapes allow."""

    def __init__(
        self, width: float, n_in: int, kernel: int, n_mid: int, n_out: int, gate: bool, swish: bool, stride: int
    ) -> None:
        super().__init__()
        n_in, n_mid, n_out = (_channels(n * width) for n in (n_in, n_mid, n_out))
        act = nn.Hardswish if swish else nn.ReLU
        layers: list[nn.Module] = []
        if n_mid != n_in:
            layers.append(ConvNorm(n_in, n_mid, 1, 1, 1, act()))
        layers.append(ConvNorm(n_mid, n_mid, kernel, stride, n_mid, act()))
        if gate:
            layers.append(GateList(n_mid))
        layers.append(ConvNorm(n_mid, n_out, 1, 1, 1, None))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """(n, d, h, w) to what the table says."""
        return x + self.block(x) if self.residual else self.block(x)


class Backbone(nn.Module):
    """mnNN_as: log-mel (n, 128, t) to pooled features (n, 960 width), hidden layer and logits (n, 527)."""

    def __init__(self, width: float = 0.4) -> None:
        super().__init__()
        first, last, hidden = _channels(16 * width), _channels(160 * width), _channels(1280 * width)
        stem = ConvNorm(1, first, 3, 2, 1, nn.Hardswish())
        head = ConvNorm(last, 6 * last, 1, 1, 1, nn.Hardswish())
        self.features = nn.Sequential(stem, *(InvertedResidual(width, *row) for row in BLOCKS), head)
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Identity(), nn.Linear(6 * last, hidden), nn.Hardswish(), nn.Dropout(0.2),
            nn.Linear(hidden, 527),
        )  # fmt: skip

    def pool(self, mel: Tensor) -> Tensor:
        """Log-mel (n, 128, t) to the mean of the last convolution (n, 960 width): the reference's embedding."""
        return self.features(mel[:, None]).mean((2, 3))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-mel (n, 128, t) to pooled features, hidden layer and logits."""
        pooled = self.pool(mel)
        hidden = self.classifier[3](self.classifier[2](pooled))
        return pooled, hidden, self.classifier[5](hidden)


class Pooled(nn.Module):
    """Log-mel (n, 128, t) to vectors (n, 384) for mn04, (n, 960) for mn10."""

    fixed = False

    def __init__(self, state: State) -> None:
        super().__init__()
        last = next(tensor for name, tensor in state.items() if name == "features.16.0.weight")
        self.backbone = Backbone(last.shape[0] / 6 / 160)
        self.backbone.load_state_dict(dict(state), strict=True)

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, dim)."""
        return self.backbone.pool(mel)
