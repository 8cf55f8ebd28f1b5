"""HTSAT, the audio tower of LAION's CLAP and of Microsoft's CLAP of 2023.

A Swin transformer over a mel spectrogram that is folded into a square (Chen et al., ICASSP 2022). Written for
speed after export: tokens lie in window order throughout, so that windowing and merging patches are one look-up
each; one more brings tokens by head, shifted where a block wants it, and another takes them back. Batch norm and
the scale of the queries sit in the weights, and the bias by relative position and the mask of shifted windows
are one constant.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import (
    Project,
    ProjectNorm,
    State,
    affine,
    batch_norm,
    conv2d,
    count,
    layer_norm,
    linear,
    part,
)

N_FRAMES = 1024  # that every spectrogram is stretched to
PATCH = 4
# The references have -100, after which the softmax gives numbers around 1e-44: too small to change anything, and too
# small for the processor, which takes twenty times as long for each.
FAR = -1e9
CHUNK = 1001  # frames of ten seconds: what the fused model takes at once


class Htsat(nn.Module):
    """Log-mel (n, 64, n_frames), at most 1024 frames, to vectors (n, dim)."""

    fixed = True  # the number of frames is part of the graph

    def __init__(self, state: State, project: nn.Module) -> None:
        super().__init__()
        scale, shift = affine(state, "bn0")
        self.scale, self.shift = _constant(scale[:, None]), _constant(shift[:, None])
        self.patch = conv2d(state, "patch_embed.proj", PATCH)
        self.patch_norm = layer_norm(state, "patch_embed.norm")
        sides = [N_FRAMES // 4 // PATCH // 2**i for i in range(count(state, "layers."))]
        self.register_buffer("first", window_order(sides[0], _window(state, sides[0]), 0), persistent=False)
        self.stages = nn.Sequential(*(Stage(part(state, f"layers.{i}."), side) for i, side in enumerate(sides)))
        self.norm = layer_norm(state, "norm")
        self.project = project

    def forward(self, mel: Tensor) -> Tensor:
        """(n, 64, n_frames) to (n, dim)."""
        return self.transform(self.patches(mel, self.patch))

    def patches(self, mel: Tensor, conv: nn.Conv2d) -> Tensor:
        """Normalize, stretch, fold into a square of four quarters in time, and filter: (n, d, 64, 64)."""
        x = (mel * self.scale + self.shift) @ stretch(int(mel.shape[2]))
        x = x.unflatten(2, (4, -1)).transpose(1, 2).flatten(1, 2)
        return conv(x[:, None])

    def transform(self, image: Tensor) -> Tensor:
        """Patches (n, d, 64, 64) through all stages: (n, dim)."""
        x = image.flatten(2).transpose(1, 2).index_select(1, self.first)
        x = self.norm(self.stages(self.patch_norm(x)))
        return self.project(x.mean(1))


class FusedLong(Htsat):
    """The fused model on more than ten seconds: the whole, shrunk to ten seconds, and three windows of it.

    The reference draws each window at random from a third of the sound; here they are the first, the middle and
    the last ten seconds, which lie in those thirds.
    """

    fixed = False

    def __init__(self, state: State, project: nn.Module) -> None:
        super().__init__(state, project)
        self.local = conv2d(state, "patch_embed.mel_conv2d", (PATCH, 3 * PATCH))
        self.fuse = Fuse(part(state, "patch_embed.fusion_model."))

    def forward(self, mel: Tensor) -> Tensor:
        """(n, 64, n_frames), more than 1001 frames, to (n, dim)."""
        whole = functional.interpolate(mel[:, None], (mel.shape[1], CHUNK), mode="bilinear")[:, 0]
        spare = mel.shape[2] - CHUNK
        windows = [mel[:, :, start : start + CHUNK] for start in (0, spare // 2, spare)]
        return self.join(whole, torch.stack([window[:, :, :CHUNK] for window in windows], 1))

    def join(self, whole: Tensor, windows: Tensor) -> Tensor:
        """Whole (n, 64, 1001) and windows (n, 3, 64, 1001) to (n, dim)."""
        globally = self.patches(whole, self.patch)
        windows = windows.reshape(-1, *windows.shape[2:3], CHUNK)
        locally = self.patches(windows, self.local).unflatten(0, (-1, 3)).permute(0, 2, 3, 1, 4).flatten(3)
        missing = globally.shape[3] - locally.shape[3]
        return self.transform(self.fuse(globally, functional.pad(locally, (0, missing))))


class Fuse(nn.Module):
    """Attentional feature fusion (Dai et al., WACV 2021): how much of each of two maps, at each place."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.locally = nn.Sequential(*self._path(state, "local_att.", 0))
        self.globally = nn.Sequential(nn.AdaptiveAvgPool2d(1), *self._path(state, "global_att.", 1))

    @staticmethod
    def _path(state: State, name: str, first: int) -> list[nn.Module]:
        a, b, c, d = (f"{name}{first + i}" for i in (0, 1, 3, 4))
        return [conv2d(state, a), batch_norm(state, b), nn.ReLU(), conv2d(state, c), batch_norm(state, d)]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two maps (n, d, h, w) to one."""
        share = torch.sigmoid(self.locally(x + y) + self.globally(x + y))
        return 2 * x * share + 2 * y * (1 - share)


class Stage(nn.Module):
    """Blocks over tokens (n, side², d) in window order, every other one shifted; then four tokens become one."""

    def __init__(self, state: State, side: int) -> None:
        super().__init__()
        window = _window(state, side)
        shifts = [window // 2 if i % 2 and side > window else 0 for i in range(count(state, "blocks."))]
        layers: list[nn.Module] = [
            Block(part(state, f"blocks.{i}."), side, window, shift) for i, shift in enumerate(shifts)
        ]
        if "downsample.reduction.weight" in state:
            layers.append(Merge(state, side, window_order(side, window, 0).argsort()))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(n, side², d) to (n, side² / 4, 2 d), or to its own shape in the last stage."""
        return self.layers(x)


class Block(nn.Module):
    """Attention within each window, then a perceptron."""

    def __init__(self, state: State, side: int, window: int, shift: int) -> None:
        super().__init__()
        table = state["attn.relative_position_bias_table"]
        self.n_heads, self.n_tokens = table.shape[1], window * window
        qkv = {name: tensor.clone() for name, tensor in part(state, "attn.qkv.").items()}
        d = qkv["weight"].shape[1]
        for tensor in qkv.values():
            tensor[:d] *= (d // self.n_heads) ** -0.5
        self.qkv = linear({f"qkv.{name}": tensor for name, tensor in qkv.items()}, "qkv")
        self.out = linear(state, "attn.proj")
        self.norm1, self.norm2 = layer_norm(state, "norm1"), layer_norm(state, "norm2")
        self.up, self.down = linear(state, "mlp.fc1"), linear(state, "mlp.fc2")
        bias = relative_bias(table, window)
        self.bias = _constant((bias + shift_mask(side, window, shift)[:, None]).flatten(0, 1) if shift else bias)
        there, back = head_order(side, window, shift, self.n_heads)
        self.register_buffer("there", there, persistent=False)
        self.register_buffer("back", back, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_windows * window², d) to the same shape."""
        x = x + self.out(self._mix(self.norm1(x)))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))

    def _mix(self, x: Tensor) -> Tensor:
        n, d = self.back.shape[0], x.shape[2]
        heads = self.qkv(x).reshape(-1, 3 * n, d // self.n_heads)
        apart = (-1, self.bias.shape[0], self.n_tokens, d // self.n_heads)  # by head, or by window and head
        q, k, v = (heads.index_select(1, rows).reshape(apart) for rows in self.there)
        mixed = (q @ k.transpose(2, 3) + self.bias).softmax(-1) @ v
        return mixed.reshape(-1, n, d // self.n_heads).index_select(1, self.back).reshape(-1, n // self.n_heads, d)


class Merge(nn.Module):
    """Four neighbouring tokens to one of twice the width."""

    def __init__(self, state: State, side: int, place: Tensor) -> None:
        super().__init__()
        half = side // 2
        order = window_order(half, min(_window(state, side), half), 0)
        row, column = 2 * (order // half), 2 * (order % half)
        corners = [(row + i) * side + column + j for j in (0, 1) for i in (0, 1)]
        self.register_buffer("four", place[torch.stack(corners, 1).flatten()], persistent=False)
        self.norm = layer_norm(state, "downsample.norm")
        self.reduce = linear(state, "downsample.reduction")

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, d) to (n, t / 4, 2 d)."""
        fours = x.index_select(1, self.four).reshape(-1, self.four.shape[0] // 4, 4 * x.shape[2])
        return self.reduce(self.norm(fours))


def window_order(side: int, window: int, shift: int) -> Tensor:
    """Which token of a square of ``side``, rolled by ``shift``, comes at each place: window by window, (side²,)."""
    square = torch.arange(side * side).reshape(side, side).roll((-shift, -shift), (0, 1))
    n = side // window
    return square.reshape(n, window, n, window).transpose(1, 2).flatten()


def head_order(side: int, window: int, shift: int, n_heads: int) -> tuple[Tensor, Tensor]:
    """Places of the pieces that heads work on: look-ups in place of transposing, which costs four times as much.

    Returns
    -------
    (3, side² * n_heads): of queries, keys and values by window, head and token, in tokens in window order that are
    query, key and value by head; and (side² * n_heads,): the way back, from windows and heads to tokens and heads
    """
    token = window_order(side, window, 0).argsort()[window_order(side, window, shift)]
    token, head = token.reshape(-1, 1, window * window), torch.arange(n_heads)[:, None]
    there = torch.stack([((3 * token + i) * n_heads + head).flatten() for i in range(3)])
    return there, (token * n_heads + head).flatten().argsort()


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """`FAR` between tokens that only the roll has brought into one window: (n_windows, window², window²)."""
    line = torch.arange(side)
    band = (line >= side - window).long() + (line >= side - shift).long()
    n = side // window
    region = (3 * band[:, None] + band).reshape(n, window, n, window).transpose(1, 2).reshape(n * n, -1)
    return (region[:, :, None] != region[:, None, :]) * FAR


def relative_bias(table: Tensor, window: int) -> Tensor:
    """Bias between two tokens of a window, looked up by how far apart they lie: (n_heads, window², window²)."""
    row, column = torch.arange(window * window) // window, torch.arange(window * window) % window
    apart = (row[:, None] - row + window - 1) * (2 * window - 1) + column[:, None] - column + window - 1
    return table[apart].permute(2, 0, 1)


def stretch(n: int) -> Tensor:
    """Bicubic interpolation (a = -0.75, ends aligned) as a matrix from n to 1024 frames."""
    if n == N_FRAMES:
        return torch.eye(n)
    place = torch.arange(N_FRAMES, dtype=torch.float64) * ((n - 1) / (N_FRAMES - 1))
    base = place.floor()
    matrix = torch.zeros(n, N_FRAMES, dtype=torch.float64)
    for tap in range(-1, 3):
        away = (place - base - tap).abs()
        near = (1.25 * away - 2.25) * away * away + 1
        far = ((-0.75 * away + 3.75) * away - 6) * away + 3
        row = (base + tap).clamp(0, n - 1).long()
        matrix[row, torch.arange(N_FRAMES)] += torch.where(away <= 1, near, far)
    return matrix.float()


def laion(state: State) -> Htsat:
    """laion/clap-htsat-unfused and larger_clap_*; and laion/clap-htsat-fused on up to ten seconds."""
    return Htsat(_laion_tower(state), Project(state, "audio_projection."))


def laion_long(state: State) -> FusedLong:
    """laion/clap-htsat-fused on more than ten seconds."""
    return FusedLong(_laion_tower(state), Project(state, "audio_projection."))


def microsoft(state: State) -> Htsat:
    """The audio tower of CLAP_weights_2023.pth."""
    tower = part(state, "audio_encoder.base.htsat.")
    return Htsat(tower, ProjectNorm(state, "audio_encoder.projection."))


_NAMES = (
    ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("attention.output.dense", "attn.proj"),
    ("attention.self.relative", "attn.relative"), ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
    ("batch_norm", "bn0"),
)  # fmt: skip


def _laion_tower(state: State) -> dict[str, Tensor]:
    """The tensors of transformers' ClapAudioEncoder under the names of the original code."""
    tower: dict[str, Tensor] = {}
    for name, tensor in part(state, "audio_model.audio_encoder.").items():
        for theirs, ours in _NAMES:
            name = name.replace(theirs, ours)
        tower[name] = tensor
    for name in [name for name in tower if "attention.self.query" in name]:
        three = [tower.pop(name.replace("query", kind)) for kind in ("query", "key", "value")]
        tower[name.replace("attention.self.query", "attn.qkv")] = torch.cat(three)
    return tower


def _window(state: State, side: int) -> int:
    """Side of a window: 8, or the whole square if that is smaller."""
    tables = [tensor for name, tensor in state.items() if name.endswith("relative_position_bias_table")]
    return min((round(math.sqrt(tables[0].shape[0])) + 1) // 2, side)


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.float(), requires_grad=False)
