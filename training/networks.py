"""The two towers of the pocket model, in torch.

Audio: MobileNetV3-large at width 0.4 (Howard et al., 2019) with channel squeeze-and-excitation, as EfficientAT
mn04_as uses it (Schmid et al., ICASSP 2023), so that its weights load as they are. Text: a six-layer BERT encoder
(Devlin et al., 2019) with mean pooling, as all-MiniLM-L6-v2 has it. Each ends in one linear layer into the joint space.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 0.4
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
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class GateList(nn.Module):
    """One gate, under the name that the published weights give it."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([ChannelGate(n)])

    def forward(self, x: Tensor) -> Tensor:
        return self.conc_se_layers[0](x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, gate, project; add the input where shapes allow."""

    def __init__(self, n_in: int, kernel: int, n_mid: int, n_out: int, gate: bool, swish: bool, stride: int) -> None:
        super().__init__()
        n_in, n_mid, n_out = (_channels(n * WIDTH) for n in (n_in, n_mid, n_out))
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
        return x + self.block(x) if self.residual else self.block(x)


class Backbone(nn.Module):
    """mn04_as: log-mel (n, 128, t) to pooled features (n, 384), hidden layer (n, 512) and logits (n, 527)."""

    def __init__(self) -> None:
        super().__init__()
        first, last = _channels(16 * WIDTH), _channels(160 * WIDTH)
        stem = ConvNorm(1, first, 3, 2, 1, nn.Hardswish())
        head = ConvNorm(last, 6 * last, 1, 1, 1, nn.Hardswish())
        self.features = nn.Sequential(stem, *(InvertedResidual(*row) for row in BLOCKS), head)
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Identity(), nn.Linear(6 * last, 512), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(512, 527)
        )

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pooled = self.features(mel[:, None]).mean((2, 3))
        hidden = self.classifier[3](self.classifier[2](pooled))
        return pooled, hidden, self.classifier[5](hidden)


def load_teacher(path: Path) -> Backbone:
    """Published mn04_as weights in our own network, ready to run."""
    model = Backbone()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return model.eval()


class AudioTower(nn.Module):
    """Log-mel (n, 128, t) to unit vectors (n, dim): the backbone and one linear layer on pooled and hidden features."""

    def __init__(self, backbone: Backbone, dim: int = 512) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Linear(384 + 512, dim)

    def forward(self, mel: Tensor) -> Tensor:
        pooled, hidden, _ = self.backbone(mel)
        return functional.normalize(self.project(torch.cat([pooled, hidden], 1)), dim=1)


class TextLayer(nn.Module):
    """One post-norm transformer layer."""

    def __init__(self, n: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value, self.out = (nn.Linear(n, n) for _ in range(4))
        self.up, self.down = nn.Linear(n, 4 * n), nn.Linear(4 * n, n)
        self.norm1, self.norm2 = nn.LayerNorm(n, eps=1e-12), nn.LayerNorm(n, eps=1e-12)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        q, k, v = (f(x).unflatten(2, (self.n_heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) * (q.shape[-1] ** -0.5)
        mixed = ((scores if bias is None else scores + bias).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class TextTower(nn.Module):
    """Token ids (n, length) to unit vectors (n, dim): a mixture of the directions of AudioSet's classes."""

    def __init__(
        self, n_tokens: int = 30522, n: int = 384, n_layers: int = 6, n_classes: int = 527, dim: int = 512
    ) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(n_tokens, n), nn.Embedding(512, n)
        self.norm = nn.LayerNorm(n, eps=1e-12)
        self.layers = nn.ModuleList(TextLayer(n, n_heads=12) for _ in range(n_layers))
        self.project = nn.Sequential(nn.Linear(n, 1024), nn.GELU(), nn.Dropout(0.2), nn.Linear(1024, n_classes))
        self.classes = nn.Parameter(torch.zeros(n_classes, dim), requires_grad=False)  # unit rows, from space.py

    def sentence(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean of the last layer over real tokens: unit (n, 384)."""
        x = self.norm(self.tokens(ids) + self.positions.weight[: ids.shape[1]])
        bias = None if mask is None else (mask[:, None, None, :] == 0) * -1e9
        for layer in self.layers:
            x = layer(x, bias)
        pooled = x.mean(1) if mask is None else (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return functional.normalize(pooled, dim=1)

    def place(self, logits: Tensor) -> Tensor:
        """Logits over the classes (n, n_classes) to unit vectors (n, dim)."""
        return functional.normalize(logits.softmax(1) @ self.classes, dim=1)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.place(self.project(self.sentence(ids, mask)))


def load_minilm(path: Path) -> TextTower:
    """all-MiniLM-L6-v2 from its published model.safetensors; the projection stays as initialised."""
    from safetensors.torch import load_file

    state, model = load_file(path), TextTower()
    own = {"tokens.weight": state["embeddings.word_embeddings.weight"]}
    # every token is of type 0: that row belongs to the positions
    own["positions.weight"] = (
        state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0]
    )
    names = {
        "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
        "out": "attention.output.dense", "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense", "down": "output.dense", "norm2": "output.LayerNorm",
    }  # fmt: skip
    for kind in ("weight", "bias"):
        own[f"norm.{kind}"] = state[f"embeddings.LayerNorm.{kind}"]
        for i in range(6):
            own |= {f"layers.{i}.{a}.{kind}": state[f"encoder.layer.{i}.{b}.{kind}"] for a, b in names.items()}
    missing, unexpected = model.load_state_dict(own, strict=False)
    if unexpected or any(not name.startswith(("project.", "classes")) for name in missing):
        raise ValueError(f"{path}: not all-MiniLM-L6-v2: missing {missing}, unexpected {unexpected}")
    return model
