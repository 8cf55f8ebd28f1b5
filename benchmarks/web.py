"""How fast the page's server answers, and whether it stays small: a library of 100,000 sounds, two busy browsers.

    python benchmarks/web.py [--rows 100000] [--minutes 1] [--folder /tmp] [--keep FOLDER] [--json out.json]

A library is filled with made-up vectors (see benchmarks/library.py) and the example sounds, and `soundalike serve` is
started on it. First each kind of question is asked one at a time: milliseconds from sending it to having its answer,
over a connection that stays open, as a browser does. Then two clients use everything at once for so many minutes, each
with a stream of events: searches by words, by sound, by dropped sounds; waveforms, pictures, audio in ranges,
favorites, syncs. Anonymous memory of the server (Linux only), open files and threads are read meanwhile; "per hour" is
the slope of a line through the second half of the readings. For the hour that counts: --minutes 60.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import library as made_up
import soundalike
from soundalike.library import Library
from soundalike.models.cards import POCKET

EXAMPLES = Path(soundalike.__file__).parent / "examples"
WORDS = Path(__file__).with_name("queries.tsv").read_text("utf-8").splitlines()[1:]
JSON = {"Content-Type": "application/json"}


class Client:
    """A browser, as far as the server can tell."""

    def __init__(self, address: str) -> None:
        base, token = address.split("/#token=")
        self.host = base.removeprefix("http://")
        self.token = {"Authorization": f"Bearer {token}"}
        self.connection = HTTPConnection(self.host, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """Send a request; the body of its answer."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, content, {**JSON, **self.token, **(headers or {})})
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 206, 503), (method, path, answer.status, content[:200])
        return content

    def search(self, **body: Any) -> dict[str, Any]:
        """Search."""
        found: dict[str, Any] = json.loads(self.ask("POST", "/api/search", body))
        return found

    def drop(self, path: Path) -> str | None:
        """Upload a sound: its id; None if others are coming in."""
        headers = {"Content-Type": "application/octet-stream", "X-Name": path.name}
        return json.loads(self.ask("POST", "/api/uploads", path.read_bytes(), headers)).get("id")


def fill(folder: Path, n_rows: int) -> None:
    """Make the library: as if the pocket model had made all of it."""
    made_up.Nobody.pipeline = POCKET.pipeline
    made_up.fill(folder, n_rows, made_up.Mixture())
    with Library.open(folder) as opened:
        opened.add([EXAMPLES])


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a server: its address, and its process."""
    code = "from soundalike.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--no-browser", "--library", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def questions(client: Client, n: int) -> dict[str, Callable[[int], Any]]:
    """Each kind of question, by the number of the turn."""
    words = [line.split("\t")[-1] for line in WORDS]
    ids = [match["id"] for match in client.search(n=n)["matches"]]
    dropped = client.drop(EXAMPLES / "animals/dog-barking.mp3")
    return {
        "words": lambda i: client.search(parts=[{"text": f"{words[i % len(words)]} {i}"}]),
        "similar to a sound": lambda i: client.search(parts=[{"id": ids[i % len(ids)]}]),
        "dropped sound, again": lambda i: client.search(parts=[{"upload": dropped}, {"text": words[i % len(words)]}]),
        "filter by length": lambda i: client.search(
            parts=[{"text": words[i % len(words)]}], filters={"min_duration": i / 50, "max_duration": i / 50 + 1}
        ),
        "filter by folder": lambda i: client.search(
            parts=[{"text": words[i % len(words)]}], filters={"folders": [f"/sounds/{i % 500:03}"]}
        ),
        "page 50 of results": lambda i: client.search(parts=[{"text": words[i % len(words)]}], offset=5000),
        "all sounds, page 500": lambda i: client.search(offset=50_000),
        "drop a sound": lambda i: client.drop(EXAMPLES / "drums/kick-808.wav"),
    }


def timed(client: Client, n: int) -> list[dict[str, Any]]:
    rows = []
    for what, ask in questions(client, n).items():
        turns = max(n // 10, 3) if what == "drop a sound" else n
        ask(0)
        took = []
        for i in range(turns):
            start = time.perf_counter()
            ask(i)
            took.append((time.perf_counter() - start) * 1e3)
        p50, p95 = np.percentile(took, [50, 95])
        rows.append({"what": what, "p50_ms": float(p50), "p95_ms": float(p95), "max_ms": max(took)})
    return rows


def use(address: str, until: float, seed: int, counts: list[int]) -> None:
    """One busy browser."""
    client, chance = Client(address), random.Random(seed)
    stream = HTTPConnection(client.host, timeout=60)
    stream.request("GET", "/api/events", headers=client.token)
    stream.getresponse()
    words = [line.split("\t")[-1] for line in WORDS]
    folders = json.loads(client.ask("GET", "/api/facets"))["folders"]
    real = next(folder["path"] for folder in folders if folder["name"] == EXAMPLES.name)
    sounds = [match["id"] for match in client.search(filters={"folders": [real]})["matches"]]
    drops = sorted(path for path in EXAMPLES.rglob("*.*") if path.suffix not in (".tsv", ".txt"))
    while time.time() < until:
        one = chance.choice(sounds)
        client.search(parts=[{"text": f"{chance.choice(words)} {chance.random()}"}])
        client.search(parts=[{"id": one}], weigh={"pitch": chance.random()})
        client.ask("GET", f"/api/sounds/{one}/peaks?n={chance.randint(10, 2000)}")
        client.ask("GET", f"/api/sounds/{one}/spectrogram.png")
        client.ask("GET", f"/api/sounds/{one}/audio", headers={"Range": f"bytes={chance.randint(0, 999)}-"})
        client.ask(chance.choice(["PUT", "DELETE"]), f"/api/favorites/{one}")
        if chance.random() < 0.05:
            client.drop(chance.choice(drops))
        if chance.random() < 0.005:
            client.ask("POST", "/api/jobs", {"kind": "retry"})
        counts[seed] += 6
    stream.close()


def read(pid: int) -> dict[str, float]:
    """Memory, files and threads of the server."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        "anonymous_mb": int(status["RssAnon"].split()[0]) / 1024, "files": len(list((process / "fd").iterdir())),
        "threads": int(status["Threads"]),
    }  # fmt: skip


def mixed(address: str, pid: int, minutes: float) -> dict[str, Any]:
    until, counts = time.time() + minutes * 60, [0, 0]
    users = [threading.Thread(target=use, args=(address, until, seed, counts)) for seed in range(2)]
    for user in users:
        user.start()
    readings: list[dict[str, float]] = []
    while any(user.is_alive() for user in users):
        time.sleep(min(1.0, minutes * 60 / 20))
        readings.append({"s": time.time(), **read(pid)})
    later = readings[len(readings) // 2 :]
    slope = np.polyfit([one["s"] / 3600 for one in later], [one["anonymous_mb"] for one in later], 1)[0]
    time.sleep(1)
    return {
        "minutes": minutes, "requests": sum(counts), "first": readings[0], "half": later[0], "last": read(pid),
        "most_mb": max(one["anonymous_mb"] for one in readings), "mb_per_hour": float(slope),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the server answers, and whether it stays small.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument("--folder", type=Path, help="where to make the library")
    parser.add_argument("--keep", type=Path, help="make the library here, or use the one that is here")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = arguments.keep or Path(temporary) / "library"
        if not (folder / "library.db").exists():
            fill(folder, arguments.rows)
        with serving(folder) as (address, pid):
            rows = timed(Client(address), arguments.questions)
            for row in rows:
                times = "".join(f"{row[name]:9.1f}" for name in ("p50_ms", "p95_ms", "max_ms"))
                print(f"{row['what']:22}{times}  ms p50, p95, max")
            flat = mixed(address, pid, arguments.minutes)
            print(json.dumps(flat, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps({"questions": rows, "mixed": flat}))


if __name__ == "__main__":
    main()
