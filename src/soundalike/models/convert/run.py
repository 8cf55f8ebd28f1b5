"""One conversion from end to end: find the weights, build the networks, write and compare, then show the files."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson
import torch
from torch import nn

from soundalike.errors import ModelError
from soundalike.frontend import log_mel
from soundalike.models import hub
from soundalike.models.cards import MANIFEST, ModelCard
from soundalike.models.convert import Converted, Precision, graph
from soundalike.models.convert.layers import State
from soundalike.models.convert.recipes import RECIPES, Build, Recipe
from soundalike.models.convert.states import read_state
from soundalike.types import F32

LONG_S = 17.0  # length of the sound that a graph for long sounds is tried on


def run(card: ModelCard, source: Path, out: Path, precision: Precision) -> Converted:
    """See `soundalike.models.convert.convert`."""
    recipe = _recipe(card, precision)
    weights = _find(source, recipe.weights, card.name)
    state = read_state(weights)
    sources = [hub.described(weights, source)]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".convert-") as folder:
        made = Path(folder)
        cosines = _sound_graphs(card, recipe, state, made, precision)
        if recipe.text:
            cosines["text.onnx"] = _text_graph(recipe.text, state, made / "text.onnx", precision)
            tokenizer = _find(source, ("tokenizer.json",), card.name)
            (made / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        files = [hub.described(path, made) for path in sorted(made.iterdir()) if path.is_file()]
        done = Converted(
            name=card.name, precision=precision, files=tuple(files), sources=tuple(sources), cosines=cosines
        )
        (made / MANIFEST).write_bytes(orjson.dumps(asdict(done), option=orjson.OPT_INDENT_2))
        for name in (*(file.name for file in files), MANIFEST):
            (made / name).replace(out / name)
    return done


def _recipe(card: ModelCard, precision: Precision) -> Recipe:
    if card.name not in RECIPES:
        raise ModelError(f"{card.name} is not converted from weights. These are: {', '.join(sorted(RECIPES))}")
    recipe = RECIPES[card.name]
    if precision == "int8" and not recipe.int8:
        raise ModelError(f"{card.name} is mostly convolutions, which 8 bits make no faster here: use fp32.")
    return recipe


def _sound_graphs(
    card: ModelCard, recipe: Recipe, state: State, folder: Path, precision: Precision
) -> dict[str, float]:
    """Write the graph for sounds, and that for long ones where there is one."""
    length_s = card.segments.length_s
    if recipe.long:
        length_s = min(length_s, 10.0)
    cosines = {}
    net = _built(recipe.audio, state, card)
    lengths_s = [length_s] if net.fixed else [length_s, max(0.7 * length_s, card.segments.shortest_s)]
    cosines["audio.onnx"] = _sound_graph(card, net, lengths_s, folder / "audio.onnx", precision)
    if recipe.long:
        net = _built(recipe.long, state, card)
        lengths_s = [LONG_S, 0.8 * LONG_S]
        cosines["audio_long.onnx"] = _sound_graph(card, net, lengths_s, folder / "audio_long.onnx", precision)
    return cosines


def _sound_graph(
    card: ModelCard, net: nn.Module, lengths_s: list[float], path: Path, precision: Precision
) -> float:
    examples = [torch.from_numpy(np.stack([_features(card, s, seed) for seed in (0, 1)])) for s in lengths_s]
    examples.append(examples[0][1:])
    name, axis, free = ("mel", 2, "n_frames") if card.frontend else ("samples", 1, "n_samples")
    axes = {0: "n"} if net.fixed else {0: "n", axis: free}
    return graph.write(net, examples, name, axes, path, precision, getattr(net, "extra", ()))


def _text_graph(build: Build, state: State, path: Path, precision: Precision) -> float:
    net = build(state).eval()
    generator = torch.Generator().manual_seed(0)
    n_words = min(net.words.shape[0], 30_000)
    ids = [torch.randint(4, n_words, (2, n), generator=generator) for n in (9, 4, 30)]
    ids[1][1, 2:] = getattr(net, "pad", 0)  # a row that is shorter than its neighbour
    return graph.write(net, ids, "ids", {0: "n", 1: "n_tokens"}, path, precision)


def _built(build: Build, state: State, card: ModelCard) -> nn.Module:
    try:
        return build(state).eval()
    except (KeyError, ValueError, RuntimeError, IndexError, StopIteration) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"These are not the weights of {card.name}: {reason}") from error


def _features(card: ModelCard, length_s: float, seed: int) -> F32:
    """What the network sees of a sound of bursts of noise and of tones, made from a seed."""
    rng = np.random.default_rng(seed)
    n = round(length_s * card.sample_rate)
    time_s = np.arange(n) / card.sample_rate
    tones = sum(np.sin(2 * np.pi * hz * time_s + hz) for hz in rng.uniform(80, 6000, 6))
    loudness = 0.02 + np.sin(2 * np.pi * rng.uniform(0.3, 2) * time_s) ** 8
    samples = (0.05 * loudness * (tones + rng.standard_normal(n))).astype(np.float32)
    return log_mel(samples, card.frontend) if card.frontend else samples


def _find(source: Path, names: tuple[str, ...], model: str) -> Path:
    """The first of these files in a folder, or in a folder below it, as wheels and snapshots have them."""
    for name in names:
        found = sorted(source.rglob(name)) if source.is_dir() else []
        if found:
            return found[0]
    raise ModelError(
        f"{source}: {model} needs the file {' or '.join(names)} there. See: soundalike models show {model}"
    )
