"""Networks on samples: wav2vec 2.0 and HuBERT, WavLM and its speaker vectors.

All three begin with the same seven convolutions (Baevski et al., 2020), 50 vectors a second, and go on with a
transformer. What the reference's feature extractor does to the samples is part of the graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundalike.models.convert.layers import State, count, layer_norm, linear, part
from soundalike.models.convert.transformer import WAV2VEC_NAMES, GatedLayer, PostNormLayer

STRIDES = (5, 2, 2, 2, 2, 2, 2)
FARTHEST = 800  # frames, of WavLM's relative positions
DILATIONS = (1, 2, 3, 1, 1)  # of the x-vector's layers


class Waves(nn.Module):
    """Samples (n, n_samples) at 16 kHz, at least 400, to features (n, n_frames, d) at each layer."""

    fixed = False

    def __init__(self, state: State, normalize: bool) -> None:
        super().__init__()
        names = [f"feature_extractor.conv_layers.{i}." for i in range(len(STRIDES))]
        self.convs = nn.ParameterList(_frozen(state[f"{name}conv.weight"]) for name in names)
        first = layer_norm(state, f"{names[0]}layer_norm")
        self.scale, self.shift, self.normalize = first.weight, first.bias, normalize
        self.norm = layer_norm(state, "feature_projection.layer_norm")
        self.widen = linear(state, "feature_projection.projection")
        self.place = _frozen(_weight_normed(part(state, "encoder.pos_conv_embed.conv.")))
        self.place_bias = _frozen(state["encoder.pos_conv_embed.conv.bias"])
        self.encoder_norm = layer_norm(state, "encoder.layer_norm")
        layers = [part(state, f"encoder.layers.{i}.") for i in range(count(state, "encoder.layers."))]
        self.relative = "attention.rel_attn_embed.weight" in layers[0]
        if self.relative:
            self.by_distance = _frozen(_by_distance(layers[0]["attention.rel_attn_embed.weight"]))
        kind = GatedLayer if self.relative else _plain
        self.layers = nn.ModuleList(kind(layer) for layer in layers)

    def forward(self, samples: Tensor) -> list[Tensor]:
        """(n, n_samples) to (n, n_frames, d): what goes into the first layer, and what comes out of each."""
        x = self.widen(self.norm(self._frames(samples).transpose(1, 2)))
        x = self.encoder_norm(x + self._places(x.transpose(1, 2)).transpose(1, 2))
        bias = self._bias(x.shape[1]) if self.relative else None
        all_layers = [x]
        for layer in self.layers:
            all_layers.append(layer(all_layers[-1], bias))
        return all_layers

    def _frames(self, samples: Tensor) -> Tensor:
        if self.normalize:
            samples = samples - samples.mean(1, keepdim=True)
            samples = samples / torch.sqrt(samples.square().mean(1, keepdim=True) + 1e-7)
        x = samples[:, None]
        for i, (weight, stride) in enumerate(zip(self.convs, STRIDES, strict=True)):
            x = functional.conv1d(x, weight, stride=stride)
            if i == 0:
                x = functional.instance_norm(x, weight=self.scale, bias=self.shift)
            x = functional.gelu(x)
        return x

    def _places(self, x: Tensor) -> Tensor:
        """Where each frame stands, from what is around it: a wide convolution; one frame too many is cut off."""
        kernel, groups = self.place.shape[2], x.shape[1] // self.place.shape[1]
        placed = functional.conv1d(x, self.place, self.place_bias, padding=kernel // 2, groups=groups)
        return functional.gelu(placed[:, :, : placed.shape[2] - (kernel + 1) % 2])

    def _bias(self, n: int) -> Tensor:
        frames = torch.arange(n)
        apart = (frames[None, :] - frames[:, None]).clamp(-FARTHEST, FARTHEST) + FARTHEST
        return self.by_distance[apart].permute(2, 0, 1)


class MeanOfWaves(nn.Module):
    """Samples (n, n_samples) to the mean of the last layer over time (n, d); and logits, of a recognizer."""

    fixed = False

    def __init__(self, state: State, normalize: bool) -> None:
        super().__init__()
        self.waves = Waves(_backbone(state), normalize)
        self.head = linear(state, "lm_head") if "lm_head.weight" in state else None
        self.extra = ("logits",) if self.head else ()

    def forward(self, samples: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(n, n_samples) to (n, d), and to (n, n_frames, n_characters) where there is a head."""
        last = self.waves(samples)[-1]
        return last.mean(1) if self.head is None else (last.mean(1), self.head(last))


class SpeakerOfWaves(nn.Module):
    """Samples (n, n_samples) to x-vectors (n, 512): Snyder et al., ICASSP 2018, on WavLM's layers."""

    fixed = False

    def __init__(self, state: State) -> None:
        super().__init__()
        self.waves = Waves(_backbone(state), normalize=False)
        weights = state.get("layer_weights")
        self.shares = None if weights is None else _frozen(weights.softmax(0))
        self.project, self.last = linear(state, "projector"), linear(state, "feature_extractor")
        dense = [linear(state, f"tdnn.{i}.kernel") for i in range(count(state, "tdnn."))]
        widths = [self.project.out_features, *(layer.out_features for layer in dense)]
        self.kernels = nn.ParameterList(
            _frozen(layer.weight.reshape(layer.out_features, -1, n).transpose(1, 2))
            for layer, n in zip(dense, widths, strict=False)
        )
        self.biases = nn.ParameterList(layer.bias for layer in dense)

    def forward(self, samples: Tensor) -> Tensor:
        """(n, n_samples) to (n, 512)."""
        layers = self.waves(samples)
        x = layers[-1]
        if self.shares is not None:
            x = sum(share * layer for share, layer in zip(self.shares, layers, strict=True))
        x = self.project(x).transpose(1, 2)
        for kernel, bias, dilation in zip(self.kernels, self.biases, DILATIONS, strict=True):
            x = functional.relu(functional.conv1d(x, kernel, bias, dilation=dilation))
        mean = x.mean(2, keepdim=True)
        spread = torch.sqrt((x - mean).square().sum(2) / (x.shape[2] - 1))
        return self.last(torch.cat([mean[:, :, 0], spread], 1))


def wav2vec2(state: State) -> MeanOfWaves:
    """facebook/wav2vec2-base, wav2vec2-base-960h and hubert-base-ls960."""
    return MeanOfWaves(state, normalize=True)


def wavlm(state: State) -> MeanOfWaves:
    """microsoft/wavlm-base and wavlm-base-plus."""
    return MeanOfWaves(state, normalize=False)


def _plain(state: State) -> PostNormLayer:
    return PostNormLayer(state, WAV2VEC_NAMES, 1e-5)


def _backbone(state: State) -> dict[str, Tensor]:
    """The tensors below "wav2vec2.", "hubert.", "wavlm." or nothing."""
    mark = "feature_projection.projection.weight"
    (name,) = (name for name in state if name.endswith(mark))
    return part(state, name.removesuffix(mark))


def _weight_normed(state: State) -> Tensor:
    """Weight of a convolution from its lengths and directions, by either of torch's two namings."""
    length = state.get("weight_g", state.get("parametrizations.weight.original0"))
    direction = state.get("weight_v", state.get("parametrizations.weight.original1"))
    if length is None or direction is None:
        return state["weight"]
    return length * direction / direction.norm(dim=(0, 1), keepdim=True)


def _by_distance(table: Tensor) -> Tensor:
    """Bias by distance in frames, from -800 to 800: (1601, n_heads); WavLM keeps it in buckets that widen."""
    n = table.shape[0] // 2
    exact = n // 2
    distance = torch.arange(-FARTHEST, FARTHEST + 1)
    far = torch.log(distance.abs().clamp(min=1).float() / exact) / math.log(FARTHEST / exact) * (n - exact)
    bucket = torch.where(distance.abs() < exact, distance.abs(), (exact + far).long().clamp(max=n - 1))
    return table[bucket + (distance > 0) * n]


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().float().contiguous(), requires_grad=False)
