"""Text towers: RoBERTa of LAION's CLAP, BERT and GPT-2 of Microsoft's.

The only input is token ids (n, n_tokens). Rows of different length are filled up with the tokenizer's padding
token, which the graph leaves out of account by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundalike.models.convert.layers import Project, ProjectNorm, State, count, layer_norm, linear, part
from soundalike.models.convert.transformer import BERT_NAMES, PostNormLayer, PreNormLayer

FAR = -1e9  # added to the scores of what must not be looked at


class Bert(nn.Module):
    """Ids (n, n_tokens) to vectors (n, dim), from the first token's place.

    Positions count from ``first``; RoBERTa's count only real tokens, from one beyond its padding token.
    """

    def __init__(self, state: State, project: nn.Module, *, pad: int, first: int, pool: bool) -> None:
        super().__init__()
        self.words = _table(state, "embeddings.word_embeddings")
        self.places = _table(state, "embeddings.position_embeddings")
        self.places.data = self.places[first:] + state["embeddings.token_type_embeddings.weight"][0]
        self.norm = layer_norm(state, "embeddings.LayerNorm", 1e-12)
        names = (f"encoder.layer.{i}." for i in range(count(state, "encoder.layer.")))
        self.layers = nn.ModuleList(PostNormLayer(part(state, name), BERT_NAMES, 1e-12) for name in names)
        self.pool = nn.Sequential(linear(state, "pooler.dense"), nn.Tanh()) if pool else nn.Identity()
        self.project, self.pad = project, pad

    def forward(self, ids: Tensor) -> Tensor:
        """(n, n_tokens) to (n, dim)."""
        real = ids != self.pad
        x = self.norm(self.words[ids] + self.places[: ids.shape[1]])
        bias = torch.where(real, 0.0, FAR)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        return self.project(self.pool(x[:, 0]))


class Gpt2(nn.Module):
    """Ids (n, n_tokens) to vectors (n, dim), from the place of the last token.

    Where that is, Microsoft's code finds by counting ids other than 0; "!" is 0, in the text as in the padding.
    """

    def __init__(self, state: State, project: nn.Module) -> None:
        super().__init__()
        self.words, self.places = _table(state, "wte"), _table(state, "wpe")
        self.layers = nn.ModuleList(PreNormLayer(part(state, f"h.{i}.")) for i in range(count(state, "h.")))
        self.norm, self.project = layer_norm(state, "ln_f"), project

    def forward(self, ids: Tensor) -> Tensor:
        """(n, n_tokens) to (n, dim)."""
        n = ids.shape[1]
        x = self.words[ids] + self.places[:n]
        bias = torch.full((n, n), FAR).triu(1)
        for layer in self.layers:
            x = layer(x, bias)
        last = ((ids != 0).sum(1, keepdim=True) - 1).clamp(min=0)
        x = x.gather(1, last[:, :, None].expand(-1, -1, x.shape[2]))[:, 0]
        return self.project(self.norm(x))


def roberta(state: State) -> Bert:
    """The text tower of LAION's CLAP."""
    project = Project(state, "text_projection.")
    return Bert(part(state, "text_model."), project, pad=1, first=2, pool=True)


def bert(state: State) -> Bert:
    """The text tower of CLAP_weights_2022.pth."""
    project = ProjectNorm(state, "caption_encoder.projection.")
    return Bert(part(state, "caption_encoder.base."), project, pad=0, first=0, pool=False)


def gpt2(state: State) -> Gpt2:
    """The text tower of CLAP_weights_2023.pth."""
    return Gpt2(part(state, "caption_encoder.base."), ProjectNorm(state, "caption_encoder.projection."))


def _table(state: State, name: str) -> nn.Parameter:
    return nn.Parameter(state[f"{name}.weight"].float(), requires_grad=False)
