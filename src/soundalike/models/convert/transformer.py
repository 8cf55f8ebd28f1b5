"""Transformer layers: BERT's, which RoBERTa, wav2vec 2.0 and HuBERT share; WavLM's; and GPT-2's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import State, layer_norm, linear

HEAD = 64  # width of a head in every published model here

BERT_NAMES = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "out": "attention.output.dense", "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense", "down": "output.dense", "norm2": "output.LayerNorm",
}  # fmt: skip
WAV2VEC_NAMES = {
    "query": "attention.q_proj", "key": "attention.k_proj", "value": "attention.v_proj", "out": "attention.out_proj",
    "norm1": "layer_norm", "up": "feed_forward.intermediate_dense", "down": "feed_forward.output_dense",
    "norm2": "final_layer_norm",
}  # fmt: skip


class PostNormLayer(nn.Module):
    """Attention, perceptron; a layer normalization after each (Vaswani et al., 2017)."""

    def __init__(self, state: State, names: dict[str, str], eps: float, head: int = HEAD) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out, self.up, self.down = (
            linear(state, names[name]) for name in ("query", "key", "value", "out", "up", "down")
        )
        self.norm1, self.norm2 = (layer_norm(state, names[name], eps) for name in ("norm1", "norm2"))
        self.head = min(head, self.out.in_features)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens (n, t, d) and what is added to the scores, (n, n_heads, t, t) or broadcast, to (n, t, d)."""
        q, k, v = (split_heads(f(x), self.head) for f in (self.query, self.key, self.value))
        x = self.norm1(x + self.out(attend(q, k, v, bias)))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class GatedLayer(PostNormLayer):
    """WavLM's: each token says how much of the bias by relative position it wants (Chen et al., 2022)."""

    def __init__(self, state: State) -> None:
        super().__init__(state, WAV2VEC_NAMES, 1e-5)
        self.gate = linear(state, "attention.gru_rel_pos_linear")
        self.constant = nn.Parameter(state["attention.gru_rel_pos_const"], requires_grad=False)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens (n, t, d) and the bias (n_heads, t, t) to (n, t, d)."""
        a, b = torch.sigmoid(self.gate(split_heads(x, self.head)).unflatten(3, (2, 4)).sum(4)).split(1, 3)
        return super().forward(x, (a * (b * self.constant - 1) + 2) * bias)


class PreNormLayer(nn.Module):
    """GPT-2's: layer normalization before, query, key and value from one matrix, GELU by tanh."""

    def __init__(self, state: State) -> None:
        super().__init__()
        flipped = {name: t.T if name.endswith("weight") and t.ndim == 2 else t for name, t in state.items()}
        names = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
        self.qkv, self.out, self.up, self.down = (linear(flipped, name) for name in names)
        self.norm1, self.norm2 = layer_norm(state, "ln_1"), layer_norm(state, "ln_2")
        self.head = min(HEAD, self.out.in_features)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Tokens (n, t, d) and the mask (t, t) that is added to the scores, to (n, t, d)."""
        q, k, v = (split_heads(third, self.head) for third in self.qkv(self.norm1(x)).chunk(3, 2))
        x = x + self.out(attend(q, k, v, bias))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


def split_heads(x: Tensor, head: int) -> Tensor:
    """(n, t, d) to (n, n_heads, t, head)."""
    return x.unflatten(2, (-1, head)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Scaled dot-product attention of (n, n_heads, t, head): (n, t, d)."""
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
    return ((scores if bias is None else scores + bias).softmax(3) @ v).transpose(1, 2).flatten(2)
