"""Speech, against the reference and from end to end: a recognizer is trained on generated speech and writes it down."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

from references import REFERENCES, reference  # noqa: E402
from soundalike import audio  # noqa: E402
from soundalike.cli import main  # noqa: E402
from soundalike.embed import Model, load_model  # noqa: E402
from soundalike.level import SILENCE_PEAK  # noqa: E402
from soundalike.models.speech import LIBRISPEECH  # noqa: E402
from soundalike.speech import compare_voices, transcribe  # noqa: E402
from soundalike.speech.ctc import frames_of, spell  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
RATE = 16_000
HIGHEST_WER = 0.1  # of phrases that the recognizer was not trained on; measured: 0.02


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    vocabulary = tmp_path_factory.mktemp("vocabulary") / "vocab.json"
    vocabulary.write_text(json.dumps({character: i for i, character in enumerate(LIBRISPEECH.characters)}))
    return transformers.Wav2Vec2CTCTokenizer(str(vocabulary))


@pytest.fixture(scope="module")
def network() -> Any:
    """wav2vec 2.0 in small, with random weights that are lively enough to say something else at every frame."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 128}
    config = transformers.Wav2Vec2Config(conv_dim=[32] * 7, initializer_range=0.2, vocab_size=32, **sizes)
    net = transformers.Wav2Vec2ForCTC(config).eval()
    with torch.no_grad():  # every character has its turn, blanks and delimiters more often
        logits = net(torch.from_numpy(noise(20.0))[None]).logits[0]
        net.lm_head.bias -= logits.mean(0)
        net.lm_head.bias[[0, 4]] += 0.8 * logits.std()
    return net


def noise(duration_s: float, seed: int = 0) -> Any:
    """Noise whose color and loudness change."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.1, round(duration_s * RATE)).astype(np.float32)
    return samples * (1.2 + np.sin(np.arange(samples.size) / 900)).astype(np.float32)


def recognizer(network: Any, folder: Path, patch: pytest.MonkeyPatch, **spec: float) -> Model:
    """The published way: weights to ONNX by the command line, ONNX to a model by its name."""
    network.save_pretrained(folder / "weights")
    patch.setenv("SOUNDALIKE_MODELS", str(folder / "models"))
    command = ["models", "convert", "wav2vec2-base-960h", str(folder / "weights")]
    assert CliRunner().invoke(main, command).exit_code == 0
    model = load_model("wav2vec2-base-960h")
    model.card = replace(model.card, ctc=replace(LIBRISPEECH, **spec))
    return model


def test_random_logits_spell_what_the_tokenizer_spells(network: Any, tokenizer: Any) -> None:
    with torch.no_grad():
        logits = network(torch.from_numpy(noise(20.0))[None]).logits[0]
    expected = tokenizer.decode(logits.argmax(-1), output_word_offsets=True)
    found = list(spell(frames_of(logits.numpy()), LIBRISPEECH, RATE))
    assert len(found) > 20
    assert len({letter for word in found for letter in word.text}) > 10
    assert [word.text for word in found] == [word["word"] for word in expected.word_offsets]
    for ours, other in zip(found, expected.word_offsets, strict=True):
        assert ours.start_s == pytest.approx(other["start_offset"] * 0.02)
        assert ours.end_s == pytest.approx(other["end_offset"] * 0.02)
    assert " ".join(word.text for word in found) == " ".join(expected.text.split())


@pytest.mark.parametrize("duration_s", [1.5, 4.0, 7.013, 12.4])
def test_windows_give_what_the_pipeline_of_transformers_gives(
    network: Any, tokenizer: Any, duration_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(duration_s, seed=3)
    soundfile.write(tmp_path / "noise.wav", samples, RATE, subtype="FLOAT")
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    pipeline = transformers.AutomaticSpeechRecognitionPipeline(network, extractor, tokenizer, device="cpu")
    expected = pipeline(samples.copy(), chunk_length_s=4, stride_length_s=(1, 1), return_timestamps="word")["chunks"]
    found = transcribe(tmp_path / "noise.wav", recognizer(network, tmp_path, monkeypatch, window_s=4.0, margin_s=1.0))
    assert [word.text for word in found.words] == [chunk["text"] for chunk in expected]
    times = np.array([(word.start_s, word.end_s) for word in found.words])
    np.testing.assert_allclose(times, [chunk["timestamp"] for chunk in expected], atol=1e-6)


SPEAKS = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs eSpeak NG (apt-get install espeak-ng)")
SENTENCES = (
    "The quick brown fox jumps over the lazy dog while the sun is setting behind the old mill.",
    "She sells sea shells on the shore, and nobody knows why the ships do not come back.",
)


@SPEAKS
def test_published_speaker_weights_on_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resemblyzer's weights come in its wheel; its own code, less the cutting of pauses, is heard beside ours."""
    sounds = {}
    for voice in ("en-us", "en-us+f2"):
        for i, sentence in enumerate((*SENTENCES, "Hello there.")):
            path = tmp_path / f"{voice}-{i}.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", path, sentence], check=True)
            samples = np.concatenate(list(audio.read(path, RATE)))
            sounds[path] = np.trim_zeros(np.where(np.abs(samples) < SILENCE_PEAK, 0, samples))
    with reference("resemblyzer", "webrtcvad", "scipy.ndimage.morphology") as load:
        weights = REFERENCES / "resemblyzer" / "pretrained.pt"
        encoder = load("resemblyzer").VoiceEncoder("cpu", verbose=False, weights_fpath=weights)
        module = load("resemblyzer.audio")
    mirrored = partial(module.librosa.feature.melspectrogram, pad_mode="reflect")  # as librosa did when it was trained
    with mock.patch.object(module.librosa.feature, "melspectrogram", mirrored):
        raised = [module.normalize_volume(samples, -30, increase_only=True) for samples in sounds.values()]
        expected = [encoder.embed_utterance(samples) for samples in raised]
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path / "models"))
    assert CliRunner().invoke(main, ["models", "convert", "resemblyzer", str(weights.parent)]).exit_code == 0
    model = load_model("resemblyzer")
    found = [model.embed_audio(samples, RATE).vector for samples in sounds.values()]
    cosines = [float(one @ other) for one, other in zip(found, expected, strict=True)]
    print("cosines", cosines)
    assert min(cosines) >= 0.999999
    assert compare_voices([path for path in sounds if "-2" not in path.name], model).speakers == (1, 1, 2, 2)


@SPEAKS
def test_recognizer_learns_to_write_down_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From training to text: train on generated speech, convert, write down other speech."""
    import tiny_speech

    torch.set_num_threads(1)
    config = tiny_speech.Config()
    said = tiny_speech.phrases(config.n_phrases, config.seed)
    recognizer(tiny_speech.train(said, config), tmp_path, monkeypatch)
    others = tiny_speech.unheard(60, 12_345, said)
    names = [f"{i:02}.wav" for i in range(len(others))]
    for name, phrase in zip(names, others, strict=True):
        soundfile.write(tmp_path / name, phrase.samples, RATE)
    result = CliRunner().invoke(main, ["transcribe", *(str(tmp_path / name) for name in names)])
    assert result.exit_code == 0
    found = [line.split("\t")[1] for line in result.stdout.splitlines()]
    wrong = sum(
        tiny_speech.n_wrong(line.split(), phrase.text.split()) for line, phrase in zip(found, others, strict=True)
    )
    n_words = sum(len(phrase.text.split()) for phrase in others)
    print(f"word error rate {wrong / n_words:.3f} on {n_words} words")
    assert wrong / n_words < HIGHEST_WER
