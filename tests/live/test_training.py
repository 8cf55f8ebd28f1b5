"""The training code, end to end on generated sound: a minute, tiny towers, every stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
CLASSES = ["Rain", "Dog", "Bell"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoded corpus of 30 generated clips."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    sounds = [(rng.standard_normal(16_000 + 400 * i) * 3000).astype(np.int16) for i in range(30)]
    np.save(folder / "shard-00000.npy", np.concatenate(sounds))
    starts = np.cumsum([0, *(sound.size for sound in sounds)])
    with (folder / "index.jsonl").open("w") as index:
        for i, sound in enumerate(sounds):
            row = {
                "id": f"c{i}",
                "package": f"p{i % 4}",
                "class": "dog",
                "group": "effects",
                "shard": "shard-00000.npy",
            }
            index.write(json.dumps(row | {"start": int(starts[i]), "n_samples": sound.size}) + "\n")
    return folder


def test_teacher_and_space(clips: Path) -> None:
    from networks import Backbone
    from space import Config, fit_classes, fit_sounds, unit_rows, worded_rows
    from teacher import Clips, parts

    torch.manual_seed(0)
    corpus = Clips(clips)
    (part,) = parts(corpus, Backbone().eval(), {"c3"})
    assert part["ids"].size == 29
    assert part["kept"].all()
    config = Config(dim=20)
    assert part["pooled"].shape == (29, 384)
    rng = np.random.default_rng(1)  # an untrained net hears the same in everything
    pooled, hidden, logits = (rng.standard_normal((29, n)).astype(np.float32) for n in (384, 512, 527))
    matrix, mean = fit_sounds(pooled, hidden, config)
    vectors = unit_rows((np.concatenate([pooled, hidden], 1) - mean) @ matrix)
    names = [f"class {i}" for i in range(526)] + ["Bark"]
    worded = worded_rows(corpus, part["ids"], names, config)
    assert worded[526].size == 29
    classes = fit_classes(vectors, logits, worded, config)
    np.testing.assert_allclose(np.linalg.norm(classes, axis=1), 1, rtol=1e-5)


def test_copies_and_what_the_space_makes_of_them(clips: Path) -> None:
    from copies import CODERS, differences
    from networks import Backbone
    from space import Config, fit_sounds, forgive_copies
    from teacher import Clips

    torch.manual_seed(0)
    corpus = Clips(clips)
    found = list(differences(Backbone().eval(), corpus.samples(corpus.rows[0])))
    assert len(found) == len(CODERS)
    assert all(one.shape == (896,) and np.isfinite(one).all() for one in found)

    config, rng = Config(dim=20), np.random.default_rng(1)
    features = rng.standard_normal((60, 896)).astype(np.float32)
    matrix, mean = fit_sounds(features[:, :384], features[:, 384:], config)
    nuisance = np.linalg.pinv(matrix)[3] * rng.standard_normal((50, 1))  # one direction of the space, and no other
    calm = np.linalg.norm(matrix @ np.eye(20), axis=0)
    shrunk = np.linalg.norm(forgive_copies(matrix, features, mean, nuisance, config), axis=0)
    assert shrunk[3] < 0.8 * calm[3]
    np.testing.assert_allclose(np.delete(shrunk, 3), np.delete(calm, 3), rtol=1e-3)


def test_tuning_brings_copies_near_and_goes_on_where_it_stopped(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pairs
    import tune
    from networks import AudioTower, Backbone, load_teacher, load_tuned
    from teacher import Clips

    torch.manual_seed(0)
    start = AudioTower(Backbone()).eval()
    monkeypatch.setattr(tune, "audio_tower", lambda *_: start)
    corpus, examples = Clips(clips), pairs.Examples(np.zeros((1, 512), np.float32), "from p3 (Debian p3)")
    rows = pairs.in_turn(corpus.rows, pairs.Config())
    assert len({row["package"] for row in rows[:4]}) == 4
    assert pairs.write_part(tmp_path / "pairs-0000.npy", rows[:12], 0, corpus, start, examples) == 12
    near = pairs.Examples(np.load(tmp_path / "pairs-0000.npz")["wanted"], "")
    assert pairs.write_part(tmp_path / "other.npy", rows[:2], 0, corpus, start, near) == 0

    unseen = tune.load_pairs(tmp_path, held_out=True)
    assert 0 < len(unseen.mels) < 12
    assert unseen.mels[0][2].shape == (unseen.n_frames[0, 2], 128)
    config, out = tune.Config(steps=4, batch=3, warm_steps=1), tmp_path / "tuned.pt"
    lines = list(tune.rounds(tune.Tuning(start, config, out), tmp_path))
    assert lines[-1].startswith("step 4, ")
    taken_up = tune.Tuning(AudioTower(Backbone()).eval(), tune.Config(steps=6, batch=3), out)
    assert taken_up.step == 4
    mel, saved = torch.randn(1, 128, 64), load_tuned(out)
    torch.testing.assert_close(taken_up.average(mel), saved(mel), rtol=0, atol=1e-5)  # folded, and as it is exported
    torch.testing.assert_close(load_teacher(out)(mel)[1], saved.backbone(mel)[1])


def test_a_log_mel_made_louder_is_that_of_the_louder_sound() -> None:
    from soundalike.frontend import log_mel
    from soundalike.models.cards import POCKET
    from tune import at_gain

    spec = POCKET.frontend
    assert spec is not None
    sound = (0.05 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    louder = log_mel(sound * np.float32(10 ** (2 / 20)), spec)
    made = at_gain(torch.from_numpy(log_mel(sound, spec))[None], torch.tensor([2.0]))[0]
    np.testing.assert_allclose(made.numpy(), louder, rtol=0, atol=1e-4)


def test_tuning_learns(tmp_path: Path) -> None:
    import tune
    from networks import AudioTower, Backbone

    torch.manual_seed(0)
    tower, rng = AudioTower(Backbone()), np.random.default_rng(0)
    mels = np.repeat(rng.standard_normal((8, 1, 96, 128)), 5, axis=1).astype(np.float16)
    mels[:, 1:] += 0.5 * rng.standard_normal((8, 4, 96, 128)).astype(np.float16)
    excerpts = torch.from_numpy(mels[:, 0].astype(np.float32)).transpose(1, 2)
    for module in tower.modules():  # statistics as after training: an untrained network hears the same in everything
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        tower(excerpts)
        wanted = tower.eval()(excerpts).numpy()
    pairs = tune.Pairs([list(five) for five in mels], np.full((8, 5), 96), wanted)
    tuning = tune.Tuning(tower, tune.Config(steps=30, batch=4, warm_steps=5, rate=1e-3), tmp_path / "tuned.pt")
    tuning.take_in(pairs)
    apart = [tuning.advance(pairs)[2] for _ in range(30)]
    assert np.mean(apart[:4]) > 0.01
    assert np.mean(apart[-4:]) < 0.7 * np.mean(apart[:4])


def test_audio_tower_exports_bit_close(tmp_path: Path) -> None:
    import onnx

    from export import check, to_onnx
    from networks import AudioTower, Backbone

    torch.manual_seed(0)
    tower = AudioTower(Backbone()).eval()
    for module in tower.modules():  # statistics as after training, so that parity means something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    onnx.save(to_onnx(tower, torch.randn(2, 128, 64), "mel", {0: "n", 2: "frames"}), tmp_path / "audio.onnx")
    check(tmp_path / "audio.onnx", tower, [torch.randn(3, 128, 40), torch.randn(1, 128, 200)], bitwise=True)


def test_text_tower_learns_and_exports(tmp_path: Path) -> None:
    import onnx
    from tokenizers import Tokenizer, models, pre_tokenizers

    from export import check, pack, to_onnx
    from networks import TextTower
    from train_text import Config, Words, measure, sentences, train_epoch, train_head

    torch.manual_seed(0)
    lines = ["rain", "heavy rain", "a dog", "dog barks", "big bell", "bell rings"] * 20
    vocabulary = {word: i for i, word in enumerate(["?", *sorted({w for line in lines for w in line.split()})])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding()
    mixtures = torch.eye(3)[torch.arange(120) % 6 // 2]
    words = Words(lines, mixtures, np.arange(100), np.arange(100, 120))
    tower = TextTower(n_tokens=20, n_layers=1, n_classes=3, dim=16)
    tower.classes.data = torch.nn.functional.normalize(torch.randn(3, 16), dim=1)
    config = Config(batch=16, head_epochs=4, head_prompts=1)
    train_head(tower, tokenizer, words, config)
    for epoch in range(3):
        train_epoch(tower, tokenizer, words, epoch, config)
    tower.eval()
    report = measure(tower, sentences(tower, tokenizer, [lines[row] for row in words.held]), mixtures[words.held])
    assert "first class right 1.0000" in report
    with torch.no_grad():
        for parameter in tower.parameters():
            if parameter.ndim == 2 and parameter.numel() >= 4096:
                scale = parameter.abs().amax(1, keepdim=True) / 127
                parameter.copy_((parameter / scale).round() * scale)
    packed = pack(to_onnx(tower, torch.randint(0, 20, (2, 5)), "ids", {0: "n", 1: "tokens"}))
    onnx.save(packed, tmp_path / "text.onnx")
    check(tmp_path / "text.onnx", tower, [torch.randint(0, 20, (2, 7))], bitwise=False)


def test_the_shipped_text_tower_reads_back(tmp_path: Path) -> None:
    from export import check, text_tower
    from networks import load_text
    from soundalike.models.cards import POCKET, folder_of

    shipped, space = folder_of(POCKET) / "text.onnx", tmp_path / "space.npz"
    tower, ids = load_text(shipped), torch.randint(1000, 20000, (3, 12))
    check(shipped, tower, [ids], bitwise=False)
    np.savez(space, classes=tower.classes.flip(1).numpy())
    with torch.no_grad():  # another space, the same meanings
        torch.testing.assert_close(text_tower(shipped, space)(ids), tower(ids).flip(1), rtol=0, atol=1e-5)


def test_phrases_are_well_formed() -> None:
    from words import mixture_matrix, read_phrases

    phrases = read_phrases()
    names = sorted({name for phrase in phrases for name in phrase.mixture})
    assert len(phrases) > 13_000
    assert len(names) == 527
    np.testing.assert_allclose(mixture_matrix(phrases, names).sum(1), 1, rtol=1e-4)
