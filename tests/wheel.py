"""Try a built wheel as a user would: alone, in a fresh environment, with the source tree out of reach.

    python tests/wheel.py dist/*.whl

The dependencies come from the package index that pip is set up for. Prints a line for each thing that works.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import venv
import wave
from array import array
from pathlib import Path

READ_BACK = """
import sys, soundalike
found = soundalike.read_embeddings("out")
assert "site-packages" in soundalike.__file__, soundalike.__file__
assert sorted(record["path"] for record in found.records) == ["high.wav", "low.wav"], found.records
assert found.vectors.shape == (2, 512), found.vectors.shape
model = soundalike.load_model()
assert found.pipeline == model.pipeline
for record, vector in zip(found.records, found.vectors):
    assert (model.embed_file("in/" + record["path"]).vector == vector).all(), record["path"]
assert (found.vectors == soundalike.read_embeddings("out/embeddings.parquet").vectors).all()
assert model.embed_text(["a beep"]).shape == (1, 512)
"""
SERVE = """
import json, signal, subprocess, sys, urllib.request
code = "from soundalike.cli import main; main()"
command = [sys.executable, "-c", code, "serve", "--no-browser", "--library", "served"]
server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
try:
    base, token = server.stdout.readline().strip().split("/#token=")
    ask = urllib.request.Request(base + "/api/status", headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(ask) as answer:
        assert json.load(answer)["model"]["name"] == "pocket"
finally:
    server.terminate()
    server.wait(20)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Try a built wheel as a user would.")
    parser.add_argument("wheel", type=Path, nargs="+", help="one wheel; of several the newest")
    wheel = max(parser.parse_args().wheel, key=lambda path: path.stat().st_mtime).resolve()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "venv", with_pip=True)
        run("install", place, "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
        run("soundalike --help", place, "soundalike", "--help")
        run("demo", place, "soundalike", "demo")
        run("verify", place, "soundalike", "verify")
        (place / "in").mkdir()
        write_tone(place / "in" / "low.wav", 110)
        write_tone(place / "in" / "high.wav", 1760)
        run("embed", place, "soundalike", "embed", "in", "-o", "out", "-f", "json", "-f", "parquet")
        run("read back", place, "python", "-c", READ_BACK)
        run("serve", place, "python", "-c", SERVE)
    print(f"PASS  all, for {wheel.name}")


def run(what: str, place: Path, program: str, *arguments: str) -> None:
    """Run a program of the fresh environment; end with its output if it fails."""
    programs = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SOUNDALIKE_"))}
    command = [str(programs / program), *arguments]
    done = subprocess.run(command, cwd=place, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAIL  {what}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"PASS  {what}", flush=True)


def write_tone(path: Path, frequency_hz: float, rate: int = 44_100) -> None:
    samples = (round(12_000 * math.sin(2 * math.pi * frequency_hz * i / rate)) for i in range(rate))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, rate, "NONE", ""))
        file.writeframes(array("h", samples).tobytes())


if __name__ == "__main__":
    main()
