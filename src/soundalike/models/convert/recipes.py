"""What each published model's weights are called, and which networks they fill: one line of data a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from soundalike.models.convert import efficientat, htsat, musicnn, panns, text, vggish, voice, waves
from soundalike.models.convert.layers import State

Build = Callable[[State], nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is made from its files."""

    weights: tuple[str, ...]  # names of the file; the first that is there is read
    audio: Build
    text: Build | None = None
    long: Build | None = None  # the graph for sounds of more than ten seconds, where the model has its own
    int8: bool = False  # worth it for transformers: convolutions stay as they are, and would only lose


_HUB = ("model.safetensors", "pytorch_model.bin")
_LAION = Recipe(weights=_HUB, audio=htsat.laion, text=text.roberta, int8=True)
_SPEECH = Recipe(weights=_HUB, audio=waves.wav2vec2, int8=True)

RECIPES: dict[str, Recipe] = {
    "clap": _LAION,
    "clap-htsat-unfused": _LAION,
    "clap-htsat-fused": Recipe(
        weights=_HUB, audio=htsat.laion, long=htsat.laion_long, text=text.roberta, int8=True
    ),
    "larger-clap-general": _LAION,
    "larger-clap-music": _LAION,
    "larger-clap-music-and-speech": _LAION,
    "msclap-2022": Recipe(weights=("CLAP_weights_2022.pth",), audio=panns.microsoft, text=text.bert),
    "msclap-2023": Recipe(weights=("CLAP_weights_2023.pth",), audio=htsat.microsoft, text=text.gpt2, int8=True),
    "panns-cnn14": Recipe(weights=("Cnn14_mAP=0.431.pth",), audio=panns.cnn14),
    "panns-cnn14-16k": Recipe(weights=("Cnn14_16k_mAP=0.438.pth",), audio=panns.cnn14),
    "panns-mobilenet-v1": Recipe(weights=("MobileNetV1_mAP=0.389.pth",), audio=panns.MobileNetV1),
    "mn04": Recipe(weights=("mn04_as_mAP_432.pt",), audio=efficientat.Pooled),
    "mn10": Recipe(weights=("mn10_as_mAP_471.pt",), audio=efficientat.Pooled),
    "vggish": Recipe(weights=("vggish-10086976.pth",), audio=vggish.Vggish),
    "yamnet": Recipe(weights=("yamnet.h5", "yamnet.pth"), audio=vggish.yamnet),
    "wav2vec2-base": _SPEECH,
    "wav2vec2-base-960h": _SPEECH,
    "hubert-base": _SPEECH,
    "wavlm-base-plus": Recipe(weights=_HUB, audio=waves.wavlm, int8=True),
    "wavlm-base-plus-sv": Recipe(weights=_HUB, audio=waves.SpeakerOfWaves, int8=True),
    "aisfx": Recipe(weights=("checkpoint.pth",), audio=panns.aisfx),
    "musicnn": Recipe(weights=("MSD_musicnn/.index",), audio=musicnn.musicnn),
    "resemblyzer": Recipe(weights=("pretrained.pt",), audio=voice.Voice),
}
