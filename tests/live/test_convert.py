"""Every architecture with seeded random weights: the reference implementation, our network, and the ONNX file.

The references are the published packages. Those that pin packages of other years lie by themselves, installed
without what they ask for, in a folder that `make test-torch` fills; what is not there is skipped.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from random_networks import GOLDEN, SMALL_CLAP, decibels, keep, narrowed, seeded  # noqa: E402
from references import REFERENCES, clone, reference  # noqa: E402
from soundalike.frontend import log_mel  # noqa: E402
from soundalike.models.convert import efficientat, graph, htsat, musicnn, panns, states, text, vggish, voice, waves  # noqa: E402
from soundalike.models.frontends import LAION_CLAP_FUSED  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def agree(ours: Any, x: Any, expected: Any, path: Path, name: str, axes: dict[int, str], more: list[Any]) -> None:
    """Our network against the reference; the file against our network, at other sizes too."""
    with torch.no_grad():
        found = ours.eval()(x)
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for one, other in pairs:
        assert one.shape == other.shape
        scale = float(other.abs().max())
        difference = float((one - other).abs().max()) / scale
        cosine = float(torch.cosine_similarity(one.double(), other.double(), dim=-1).min())
        print(f"max |d| {difference:.1e} of the largest number, cosine {cosine:.9f}")
        assert cosine >= 0.999999
        assert difference < 5e-5
    extra = getattr(ours, "extra", ())
    assert graph.write(ours, [x, *more], name, axes, path, "fp32", extra) >= 0.999999
    keep(path.parent.name.removeprefix("test_").removesuffix("0"), path, x, expected)


def clap_audio(fusion: bool) -> Any:
    config = transformers.ClapAudioConfig(enable_fusion=fusion, **SMALL_CLAP)
    return seeded(transformers.ClapAudioModelWithProjection(config))


@pytest.mark.parametrize("fusion", [False, True], ids=["unfused", "fused"])
def test_htsat_of_laion_up_to_ten_seconds(fusion: bool, tmp_path: Path) -> None:
    model, mel = clap_audio(fusion), decibels(2, 64, 1001)
    features = mel.transpose(1, 2)[:, None].repeat(1, 4 if fusion else 1, 1, 1)
    with torch.no_grad():
        expected = model(features, is_longer=torch.zeros(2, 1, dtype=torch.bool)).audio_embeds
    ours = htsat.laion(model.state_dict())
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", {0: "n"}, [mel[:1], decibels(3, 64, 1001)])


def test_htsat_of_laion_fused_beyond_ten_seconds(tmp_path: Path) -> None:
    n = 300 if GOLDEN else 1503  # frames beyond ten seconds
    model, mel = clap_audio(fusion=True), decibels(1 if GOLDEN else 2, 64, 1001 + n)
    frames = mel.transpose(1, 2)
    whole = torch.nn.functional.interpolate(frames[:, None], (1001, 64), mode="bilinear", align_corners=False)
    windows = [frames[:, None, start : start + 1001] for start in (0, n // 2, n)]
    with torch.no_grad():
        features = torch.cat([whole, *windows], 1)
        expected = model(features, is_longer=torch.ones(len(mel), 1, dtype=torch.bool)).audio_embeds
    ours, axes = htsat.laion_long(model.state_dict()), {0: "n", 2: "n_frames"}
    more = [decibels(1, 64, n) for n in (1002, 1003, 3001)]
    agree(ours, mel, expected, tmp_path / "audio_long.onnx", "mel", axes, more)


def test_laion_fused_from_samples_to_vectors() -> None:
    """The reference's extractor and network, its three draws at the first, the middle and the last ten seconds."""
    samples = np.random.default_rng(4).normal(0, 0.1, 48_000 * 14).astype(np.float32)
    extractor = transformers.ClapFeatureExtractor(frequency_min=50, frequency_max=14_000, truncation="fusion")
    n = len(samples) // 480 + 1 - 1001
    with mock.patch("numpy.random.choice", side_effect=[0, n // 2, n]) as choice:
        features = extractor(samples, sampling_rate=48_000, return_tensors="pt")
    assert choice.call_count == 3
    assert [row[0].tolist() for row in features["is_longer"]] == [True]
    model = clap_audio(fusion=True)
    mel = torch.from_numpy(log_mel(samples, LAION_CLAP_FUSED))[None]
    with torch.no_grad():
        expected = model(features["input_features"], is_longer=features["is_longer"]).audio_embeds
        found = htsat.laion_long(model.state_dict()).eval()(mel)
    assert float(torch.cosine_similarity(found.double(), expected.double()).min()) >= 0.999999
    assert float((found - expected).abs().max() / expected.abs().max()) < 5e-5


def test_windows_of_the_fused_model_are_ones_that_the_reference_could_draw() -> None:
    for n_frames in (1003, 1500, 2504, 3001):
        n = n_frames - 1001
        thirds = np.array_split(np.arange(n + 1), 3)
        for start, third in zip((0, n // 2, n), thirds, strict=True):
            assert start in third


@pytest.mark.parametrize("n_frames", [965, 1001, 1024, 300])
def test_stretching_is_torchs_bicubic_interpolation(n_frames: int) -> None:
    x = torch.randn(1, 1, n_frames, 8, generator=torch.Generator().manual_seed(0)).double()
    expected = torch.nn.functional.interpolate(x, (1024, 8), mode="bicubic", align_corners=True)
    found = x[0, 0].T @ htsat.stretch(n_frames).double()
    assert float((found.T - expected[0, 0]).abs().max()) < 5e-7


def test_htsat_of_microsoft(tmp_path: Path) -> None:
    with reference("msclap", "torchaudio", "torchaudio.transforms", "torchvision") as load:
        module = load("msclap.models.htsat")
        config = load("msclap.models.config")
        sizes = {"embed_dim": 8, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]}
        net = module.HTSAT_Swin_Transformer(config=config, **sizes)
        project = load("msclap.models.clap").Projection(64, 32)
    seeded(net), seeded(project)
    mel = decibels(2, 64, 965)
    frames = mel.transpose(1, 2)[:, None]
    net.spectrogram_extractor = net.logmel_extractor = torch.nn.Identity()  # compared in test_frontend_live
    with torch.no_grad():
        expected = project(net(frames)["latent_output"])
    state = {f"audio_encoder.base.htsat.{k}": v for k, v in net.state_dict().items()}
    state |= {f"audio_encoder.projection.{k}": v for k, v in project.state_dict().items()}
    ours = htsat.microsoft(state)
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", {0: "n"}, [mel[:1]])


def test_cnn14_of_panns(tmp_path: Path) -> None:
    with reference("panns_inference", "matplotlib", "matplotlib.pyplot", "torchaudio") as load:
        model = seeded(narrowed(load("panns_inference.models").Cnn14(32_000, 1024, 320, 64, 50, 14_000, 527)))
    samples = torch.randn(2, 64_000, generator=torch.Generator().manual_seed(3)) * 0.1
    with torch.no_grad():
        expected = model(samples)["embedding"]
        mel = model.logmel_extractor(model.spectrogram_extractor(samples))[:, 0].transpose(1, 2).contiguous()
    ours, axes = panns.cnn14(model.state_dict()), {0: "n", 2: "n_frames"}
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", axes, [mel[:, :, :77]])


def test_cnn14_of_microsoft(tmp_path: Path) -> None:
    with reference("msclap", "torchaudio", "torchaudio.transforms", "torchvision") as load:
        encoder = load("msclap.models.clap").AudioEncoder
        model = seeded(encoder("Cnn14", 2048, 64, 44_100, 1024, 320, 64, 50, 14_000, 527))
    samples = torch.randn(1, 66_150, generator=torch.Generator().manual_seed(3)) * 0.1
    with torch.no_grad():
        expected = model(samples)[0]
        mel = model.base.logmel_extractor(model.base.spectrogram_extractor(samples))[:, 0].transpose(1, 2).contiguous()
    ours = panns.microsoft({f"audio_encoder.{k}": v for k, v in model.state_dict().items()})
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", {0: "n", 2: "n_frames"}, [mel[:, :, :99]])


def test_mobilenet_v1_of_panns(tmp_path: Path) -> None:
    with clone("audioset_tagging_cnn/pytorch", "matplotlib", "matplotlib.pyplot") as load:
        model = narrowed(load("models").MobileNetV1(32_000, 1024, 320, 64, 50, 14_000, 527), 8)
    model.spectrogram_extractor = model.logmel_extractor = torch.nn.Identity()  # compared in test_frontend_live
    seeded(model)
    mel = decibels(2, 64, 101)
    with torch.no_grad():
        expected = model(mel.transpose(1, 2)[:, None])["embedding"]
    ours, axes = panns.MobileNetV1(model.state_dict()), {0: "n", 2: "n_frames"}
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", axes, [mel[:1, :, :64]])


@pytest.mark.parametrize("width", [0.4, 1.0], ids=["mn04", "mn10"])
def test_efficientat_finds_its_width(width: float, tmp_path: Path) -> None:
    if GOLDEN and width == 1.0:
        pytest.skip("too large for a golden network")
    pytest.importorskip("torchvision")
    with clone("EfficientAT", "helpers", "helpers.utils") as load, mock.patch("builtins.print"):
        model = seeded(load("models.mn.model").get_model(width_mult=width))
    mel = decibels(2, 128, 100)
    with torch.no_grad():
        expected = model(mel[:, None])[1]
    assert expected.shape[1] == round(960 * width)
    ours, axes = efficientat.Pooled(model.state_dict()), {0: "n", 2: "n_frames"}
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", axes, [mel[:, :, :50]])


def test_vggish(tmp_path: Path) -> None:
    with reference("torch_vggish_yamnet", "torchaudio", "torchaudio.transforms") as load:
        model = seeded(narrowed(load("torch_vggish_yamnet.vggish.model").VGGish()))
    mel = decibels(2, 64, 96) / 10
    model.embeddings[5] = torch.nn.Identity()  # the port's ReLU, which TensorFlow's model does not have
    with torch.no_grad():
        expected = model(mel.transpose(1, 2)[:, None])
    agree(vggish.Vggish(model.state_dict()), mel, expected, tmp_path / "audio.onnx", "mel", {0: "n"}, [mel[:1]])


def test_yamnet(tmp_path: Path) -> None:
    with reference("torch_vggish_yamnet", "torchaudio", "torchaudio.transforms") as load:
        model = seeded(narrowed(load("torch_vggish_yamnet.yamnet.model").YAMNet(), 8))
    mel = decibels(2, 64, 96) / 10
    with torch.no_grad():
        expected = model(mel.transpose(1, 2)[:, None])[0][:, :, 0, 0]
    agree(vggish.yamnet(model.state_dict()), mel, expected, tmp_path / "audio.onnx", "mel", {0: "n"}, [mel[:1]])


def test_musicnn_with_its_own_weights() -> None:
    """What its own code (0.1.0, TensorFlow 2.15) gave of three seconds of examples/instruments/tabla-loop.m4a."""
    weights = REFERENCES / "musicnn" / "MSD_musicnn" / ".index"
    if not weights.is_file():
        pytest.skip("musicnn is not there")
    golden = np.load(Path(__file__).parents[1] / "golden" / "musicnn.npz")
    net = musicnn.musicnn(states.read_state(weights)).eval()
    with torch.no_grad():
        found = net(torch.from_numpy(golden["mel"]).transpose(1, 2)).numpy()
    assert np.abs(found - golden["penultimate"]).max() < 1e-5


def test_aisfx(tmp_path: Path) -> None:
    with reference("aisfx", "essentia", "essentia.standard", "librosa", "tqdm") as load:
        model = seeded(load("aisfx.models.cnn2d").EmbeddingNet("max", 3, 1, 8 if GOLDEN else 64))
    mel = decibels(2, 96, 100).abs() / 50
    with torch.no_grad():
        expected = model(mel.transpose(1, 2))
    state = {f"embedding_net.{k}": v for k, v in model.state_dict().items()}
    agree(panns.aisfx(state), mel, expected, tmp_path / "audio.onnx", "mel", {0: "n"}, [mel[:1]])


@pytest.mark.parametrize("kind", ["Wav2Vec2ForCTC", "Wav2Vec2Model", "HubertModel", "WavLMModel"])
def test_networks_on_samples(kind: str, tmp_path: Path) -> None:
    name = kind.removesuffix("ForCTC").removesuffix("Model")
    sizes = {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 256}
    config = getattr(transformers, f"{name}Config")(conv_dim=[64] * 7, **sizes)
    model = seeded(getattr(transformers, kind)(config))
    samples = torch.randn(2, 17_000, generator=torch.Generator().manual_seed(5)) * 0.1 + 0.02
    normalize = name != "WavLM"
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalize)
    values = extractor(list(samples.numpy()), sampling_rate=16_000, return_tensors="pt").input_values
    backbone = model.wav2vec2 if kind.endswith("CTC") else model
    with torch.no_grad():
        expected = backbone(values).last_hidden_state.mean(1)
        if kind.endswith("CTC"):
            expected = (expected, model(values).logits)
    build = waves.wav2vec2 if normalize else waves.wavlm
    more = [samples[:1, :400], samples[:, :9000]]
    axes = {0: "n", 1: "n_samples"}
    agree(build(model.state_dict()), samples, expected, tmp_path / "audio.onnx", "samples", axes, more)


@pytest.mark.parametrize("weighted", [False, True])
def test_speaker_vectors_of_wavlm(weighted: bool, tmp_path: Path) -> None:
    config = transformers.WavLMConfig(
        hidden_size=128, num_hidden_layers=3, num_attention_heads=2, intermediate_size=256, conv_dim=[64] * 7,
        tdnn_dim=[64, 64, 64, 64, 96], xvector_output_dim=48, use_weighted_layer_sum=weighted,
    )  # fmt: skip
    model = seeded(transformers.WavLMForXVector(config))
    samples = torch.randn(2, 40_000, generator=torch.Generator().manual_seed(5)) * 0.1
    with torch.no_grad():
        expected = model(samples).embeddings
    ours, axes = waves.SpeakerOfWaves(model.state_dict()), {0: "n", 1: "n_samples"}
    agree(ours, samples, expected, tmp_path / "audio.onnx", "samples", axes, [samples[:1, :16_000]])


def test_distances_of_wavlm_beyond_the_last_bucket() -> None:
    attention = import_module("transformers.models.wavlm.modeling_wavlm").WavLMAttention(128, 2)
    table = attention.rel_attn_embed.weight.detach()
    n = waves.FARTHEST + 40
    expected = attention.compute_bias(n, n).detach()
    apart = (torch.arange(n)[None] - torch.arange(n)[:, None]).clamp(-waves.FARTHEST, waves.FARTHEST)
    found = waves._by_distance(table)[apart + waves.FARTHEST].permute(2, 0, 1)
    assert torch.equal(found, expected)


def test_text_of_laion(tmp_path: Path) -> None:
    config = transformers.ClapTextConfig(
        vocab_size=500, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256,
        projection_dim=32, max_position_embeddings=80,
    )  # fmt: skip
    model = seeded(transformers.ClapTextModelWithProjection(config))
    ids = torch.randint(4, 500, (2, 9), generator=torch.Generator().manual_seed(0))
    ids[1, 6:] = 1
    with torch.no_grad():
        expected = model(ids, attention_mask=(ids != 1).long()).text_embeds
    ours, axes = text.roberta(model.state_dict()), {0: "n", 1: "n_tokens"}
    agree(ours, ids, expected, tmp_path / "text.onnx", "ids", axes, [ids[1:, :6], ids[:, :2]])


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_text_of_microsoft(kind: str, tmp_path: Path) -> None:
    if kind == "bert":
        base = transformers.BertModel(transformers.BertConfig(
            vocab_size=500, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256,
        ))  # fmt: skip
    else:
        base = transformers.GPT2Model(transformers.GPT2Config(vocab_size=500, n_embd=128, n_layer=2, n_head=2))
    with reference("msclap", "torchaudio", "torchaudio.transforms", "torchvision") as load:
        clap = load("msclap.models.clap")
        with mock.patch.object(clap, "AutoModel") as hub:
            hub.from_pretrained.return_value = base
            model = seeded(clap.TextEncoder(64, kind, 128))
    ids = torch.randint(4, 500, (2, 9), generator=torch.Generator().manual_seed(0))
    ids[1, 6:] = 0
    inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    with torch.no_grad():
        expected = model(inputs)
    ours = getattr(text, kind)({f"caption_encoder.{k}": v for k, v in model.state_dict().items()})
    axes = {0: "n", 1: "n_tokens"}
    agree(ours, ids, expected, tmp_path / "text.onnx", "ids", axes, [ids[1:, :6], ids[:, :2]])


def test_voice(tmp_path: Path) -> None:
    lstm, dense = torch.nn.LSTM(40, 32, 3, batch_first=True), torch.nn.Linear(32, 24)
    model = seeded(torch.nn.ModuleDict({"lstm": lstm, "linear": dense}))
    mel = decibels(2, 40, 160).abs() / 100
    with torch.no_grad():
        expected = torch.relu(dense(lstm(mel.transpose(1, 2))[1][0][-1]))
    ours, axes = voice.Voice(model.state_dict()), {0: "n", 2: "n_frames"}
    agree(ours, mel, expected, tmp_path / "audio.onnx", "mel", axes, [mel[:1, :, :90]])
