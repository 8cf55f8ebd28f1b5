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

from soundalike.models.convert.efficientat import Backbone


def load_teacher(path: Path) -> Backbone:
    """Published mn04_as weights in our own network, ready to run; or what `tune.py` made of them."""
    model, state = Backbone(), torch.load(path, map_location="cpu", weights_only=True)
    if "tower" in state:
        return load_tuned(path).backbone
    model.load_state_dict(state, strict=True)
    return model.eval()


def load_tuned(path: Path) -> AudioTower:
    """The audio tower that `tune.py` saved, ready to run."""
    tower = AudioTower(Backbone())
    tower.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["tower"], strict=True)
    return tower.eval()


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


def load_text(path: Path) -> TextTower:
    """The trained text tower: a checkpoint of train_text.py, or a ``text.onnx`` of export.py read back."""
    tower = TextTower()
    if path.suffix != ".onnx":
        tower.load_state_dict(torch.load(path, weights_only=True)["tower"])
        return tower.eval()
    state = _state_of(path)
    tower.positions = nn.Embedding(*state["positions.weight"].shape)
    tower.load_state_dict(state)
    return tower.eval()


def _state_of(path: Path) -> dict[str, Tensor]:
    """Parameters of the text tower in a ``text.onnx``, its 8-bit matrices widened."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    kept = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    small = [name[:-2] for name in kept if name.endswith("_q")]
    state = kept | {name: kept[f"{name}_q"] * kept[f"{name}_s"] for name in small}
    added = {name: node.input for node in graph.node if node.op_type == "Add" for name in node.input}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in small and node.input[1] != "classes":
            (bias,) = [name for name in added[node.output[0]] if name.endswith(".bias")]
            state[bias.removesuffix("bias") + "weight"] = state[node.input[1]].T  # traced as (in, out), unnamed
    return {name: state[name] for name in TextTower().state_dict()}
