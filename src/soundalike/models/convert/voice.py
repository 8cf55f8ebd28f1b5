"""Resemblyzer's speaker encoder (Wan et al., ICASSP 2018)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import State, linear, part


class Voice(nn.Module):
    """Mel (n, 40, 160) to vectors (n, 256) without negative numbers: three LSTM layers, the last state counts."""

    fixed = False

    def __init__(self, state: State) -> None:
        super().__init__()
        weights = part(state, "lstm.")
        n_layers = sum(name.startswith("weight_hh_l") for name in weights)
        self.lstm = nn.LSTM(weights["weight_ih_l0"].shape[1], weights["weight_hh_l0"].shape[1], n_layers)
        self.lstm.load_state_dict(weights)
        self.linear = linear(state, "linear")

    def forward(self, mel: Tensor) -> Tensor:
        """(n, n_mels, n_frames) to (n, dim)."""
        steps, _ = self.lstm(mel.permute(2, 0, 1))
        return functional.relu(self.linear(steps[-1]))
