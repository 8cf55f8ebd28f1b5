"""Write the pocket model's files: audio.onnx, text.onnx, tokenizer.json; check each against torch.

    python training/export.py --tuned TUNED.pt --space SPACE.npz --text TEXT.pt --minilm FOLDER --out FOLDER

TEXT may also be a text.onnx of before: what its words mean does not depend on the space, only where the classes lie.

The audio tower is float32 with its batch norms folded in. The text tower keeps its matrices as 8-bit integers with one
scale a row; they are widened when the file is loaded and everything is computed in float32, so that no vector
depends on what else is in a batch. Prints the lines that belong on the model's card.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from networks import AudioTower, TextTower, load_teacher, load_text, load_tuned

OPSET = 17
TOLERANCE = 1e-5
SMALL = 4096  # matrices with fewer numbers stay float32
N_POSITIONS = 64


def audio_tower(teacher: Path, space: Path) -> AudioTower:
    """The teacher's backbone and the space's matrix, as one network."""
    tower, fitted = AudioTower(load_teacher(teacher)), np.load(space)
    with torch.no_grad():
        tower.project.weight.copy_(torch.from_numpy(fitted["matrix"].T))
        tower.project.bias.copy_(torch.from_numpy(-fitted["mean"] @ fitted["matrix"]))
    return tower.eval()


def text_tower(trained: Path, space: Path) -> TextTower:
    """The trained tower, with the classes where the space has them, and its matrices rounded to 8 bits."""
    tower = load_text(trained)
    with torch.no_grad():
        tower.classes.copy_(torch.from_numpy(np.load(space)["classes"]))
        tower.positions.weight = torch.nn.Parameter(tower.positions.weight[:N_POSITIONS])
        for parameter in tower.parameters():
            if parameter.ndim == 2 and parameter.numel() >= SMALL:
                scale = parameter.abs().amax(1, keepdim=True) / 127
                parameter.copy_((parameter / scale).round() * scale)
    return tower.eval()


def to_onnx(model: torch.nn.Module, example: torch.Tensor, name: str, axes: dict[int, str]) -> onnx.ModelProto:
    """Trace a network with one input and one output, both with these dynamic axes."""
    buffer = io.BytesIO()
    dynamic = {name: axes, "vector": {0: "n"}}
    torch.onnx.export(
        model, (example,), buffer, input_names=[name], output_names=["vector"], dynamic_axes=dynamic,
        opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def pack(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store matrices as 8-bit integers and a scale a row (of the torch matrix), widened by the graph itself."""
    graph = model.graph
    gathered = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    nodes, kept = [], []
    for tensor in graph.initializer:
        matrix = numpy_helper.to_array(tensor)
        if matrix.ndim != 2 or matrix.size < SMALL or matrix.dtype != np.float32:
            kept.append(tensor)
            continue
        axis = 0 if _is_transposed(graph, tensor.name) and tensor.name != "classes" else 1
        scale = np.maximum(np.abs(matrix).max(axis, keepdims=True) / 127, 1e-12).astype(np.float32)
        small = np.rint(matrix / scale).astype(np.int8)
        kept += [numpy_helper.from_array(small, f"{tensor.name}_q"), numpy_helper.from_array(scale, f"{tensor.name}_s")]
        if tensor.name in gathered:
            continue
        nodes.append(helper.make_node("Cast", [f"{tensor.name}_q"], [f"{tensor.name}_f"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{tensor.name}_f", f"{tensor.name}_s"], [tensor.name]))
    for node in graph.node:
        packed = {tensor.name for tensor in kept}
        if node.op_type == "Gather" and f"{node.input[0]}_q" in packed:
            nodes += _gather(node)
        else:
            nodes.append(node)
    packed_graph = helper.make_graph(nodes, graph.name, graph.input, graph.output, kept)
    return helper.make_model(packed_graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _is_transposed(graph: onnx.GraphProto, name: str) -> bool:
    """Whether a matrix lies as (in, out), as MatMul takes it, and not as torch's (out, in)."""
    return any(node.op_type == "MatMul" and name in node.input for node in graph.node)


def _gather(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Look rows up while they are small, then widen those."""
    table, rows, out = node.input[0], node.input[1], node.output[0]
    return [
        helper.make_node("Gather", [f"{table}_q", rows], [f"{out}_q"], axis=0),
        helper.make_node("Gather", [f"{table}_s", rows], [f"{out}_s"], axis=0),
        helper.make_node("Cast", [f"{out}_q"], [f"{out}_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}_f", f"{out}_s"], [out]),
    ]


def check(path: Path, model: torch.nn.Module, examples: list[torch.Tensor], bitwise: bool) -> None:
    """Compare the file with torch, and a batch with its rows one by one: bit for bit if ``bitwise``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    (put,) = session.get_inputs()
    worst = 0.0
    for example in examples:
        with torch.no_grad():
            expected = model(example).numpy()
        found = session.run(None, {put.name: example.numpy()})[0]
        alone = np.concatenate([session.run(None, {put.name: row.numpy()[None]})[0] for row in example])
        if not (np.array_equal(found, alone) if bitwise else np.allclose(found, alone, rtol=0, atol=1e-6)):
            raise SystemExit(f"{path}: a batch changes the numbers by up to {np.abs(found - alone).max():.1e}")
        worst = max(worst, float(np.abs(found - expected).max()))
    if worst > TOLERANCE:
        raise SystemExit(f"{path}: differs from torch by {worst:.1e}")
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, max |d| to torch {worst:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tuned", "space", "text", "minilm", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    audio = load_tuned(args.tuned)
    onnx.save(to_onnx(audio, torch.randn(2, 128, 400), "mel", {0: "n", 2: "frames"}), args.out / "audio.onnx")
    mels = [torch.randn(n, 128, t) for n, t in ((1, 30), (3, 100), (4, 1000))]
    check(args.out / "audio.onnx", audio, mels, bitwise=True)
    text = text_tower(args.text, args.space)
    ids = torch.randint(1000, 20000, (2, 9))
    onnx.save(pack(to_onnx(text, ids, "ids", {0: "n", 1: "tokens"})), args.out / "text.onnx")
    lines = [torch.randint(1000, 20000, (n, t)) for n, t in ((1, 3), (3, 12), (2, 64))]
    check(args.out / "text.onnx", text, lines, bitwise=False)
    shutil.copyfile(args.minilm / "tokenizer.json", args.out / "tokenizer.json")
    n_parameters = sum(p.numel() for tower in (audio, text) for p in tower.parameters()) - 512 * 527 - 527
    print(f"n_parameters={n_parameters:_}")
    for name in ("audio.onnx", "text.onnx", "tokenizer.json"):
        data = (args.out / name).read_bytes()
        print(f'ModelFile("{name}", "{hashlib.sha256(data).hexdigest()}", {len(data):_})')


if __name__ == "__main__":
    main()
