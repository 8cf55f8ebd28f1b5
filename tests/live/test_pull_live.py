"""A published ONNX file of the hub's usual kind, pulled and run: its vectors are those of transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

from random_networks import SMALL_CLAP, seeded  # noqa: E402
from soundalike import load_model, pulling  # noqa: E402
from soundalike.models import cards  # noqa: E402
from soundalike.models.cards import card_of  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
WORDS = ["<s>", "<pad>", "</s>", "<unk>", *["a", "dog", "barking", "heavy", "rain", "on", "tin", "roof"]]


def small_clap() -> Any:
    text = {
        "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "projection_dim": 32, "max_position_embeddings": 90,
    }  # fmt: skip
    config = transformers.ClapConfig(audio_config=dict(SMALL_CLAP), text_config=text, projection_dim=32)
    return seeded(transformers.ClapModel(config))


class Audio(torch.nn.Module):
    """What the hub's audio_model.onnx is: features in, the projection out, not normalized."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_features: Any) -> Any:
        pooled = self.model.audio_model(input_features, is_longer=None).pooler_output
        return self.model.audio_projection(pooled)


class Text(torch.nn.Module):
    """What the hub's text_model.onnx is: token ids alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any) -> Any:
        return self.model.text_projection(self.model.text_model(input_ids).pooler_output)


def export(net: Any, example: Any, path: Path, name: str, axes: dict[int, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net.eval(), (example,), path, input_names=[name], output_names=["embeds"], dynamic_axes={name: axes},
        opset_version=17, dynamo=False,
    )  # fmt: skip


def test_a_published_onnx_file_gives_the_vectors_of_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_clap()
    mel, ids = torch.randn(1, 1, 1001, 64), torch.tensor([[0, 4, 5, 6, 2]])
    export(Audio(model), mel, tmp_path / "onnx" / "audio_model.onnx", "input_features", {0: "n"})
    export(Text(model), ids, tmp_path / "onnx" / "text_model.onnx", "input_ids", {0: "n", 1: "n_tokens"})
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path / "models"))
    published = card_of("clap")
    assert published.source is not None
    files = tuple(replace(file, sha256="") for file in published.source.files)  # which are not those
    small = replace(published, dim=32, source=replace(published.source, files=files))
    monkeypatch.setitem(cards.CARDS, "clap-htsat-unfused", small)
    monkeypatch.setattr(pulling, "check", lambda model: [])  # random weights tell nothing apart
    pulling.pull("clap", tmp_path)
    ours = load_model("clap")

    samples = np.random.default_rng(0).normal(size=480_000).astype(np.float32) * 0.1
    extractor = transformers.ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc", padding="repeatpad")
    lines = ["a dog barking", "heavy rain on a tin roof"]
    with torch.no_grad():
        features = extractor(samples, sampling_rate=48_000, return_tensors="pt")
        sound = model.get_audio_features(**features).pooler_output[0].numpy()
        words = [
            model.get_text_features(input_ids=torch.tensor([tokenizer.encode(line).ids])).pooler_output[0].numpy()
            for line in lines
        ]
    assert float(ours.embed_audio(samples, 48_000).vector @ sound) > 0.999999
    assert (np.sum(ours.embed_text(lines) * np.stack(words), axis=1) > 0.999999).all()
