"""Transcripts as text, as a record for JSON, and as subtitles: words gathered into cues, SubRip or WebVTT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from soundalike.readable import shown
from soundalike.speech.ctc import Word
from soundalike.speech.flow import Transcript

PAUSE_S = 0.8  # silence between two words that ends a cue
LONGEST_S = 7.0  # of a cue; this, the width and the two lines are what broadcasters ask for
SHORTEST_S = 1.0  # a cue stays as long, if the next one and the end of the sound let it
WIDTH = 42  # characters in a line
N_LINES = 2


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are shown together."""

    text: str  # lines with "\\n" between them
    start_s: float
    end_s: float


def cues(transcript: Transcript) -> list[Cue]:
    """Gather words into cues: new ones at pauses, and where no more fits."""
    groups = list(_groups(transcript.words))
    starts_s = [*(group[0].start_s for group in groups), transcript.duration_s]
    return [
        Cue(
            "\n".join(_lines(group)), group[0].start_s,
            max(group[-1].end_s, min(group[0].start_s + SHORTEST_S, next_s)),
        )
        for group, next_s in zip(groups, starts_s[1:], strict=True)
    ]  # fmt: skip


def record(transcript: Transcript) -> dict[str, Any]:
    """A transcript as one JSON object."""
    words = [
        {"word": word.text, "start_s": round(word.start_s, 3), "end_s": round(word.end_s, 3),
         "confidence": round(word.confidence, 4)}
        for word in transcript.words
    ]  # fmt: skip
    return {
        "path": shown(transcript.path), "duration_seconds": transcript.duration_s, "text": transcript.text,
        "words": words, "model": transcript.model, "warnings": list(transcript.warnings),
    }  # fmt: skip


def txt(transcript: Transcript) -> str:
    """All words on one line."""
    return f"{transcript.text}\n"


def srt(transcript: Transcript) -> str:
    """SubRip: numbered cues, times with a comma."""
    blocks = (
        f"{number}\n{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(transcript), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT (W3C): times with a point, text with its three special characters escaped."""
    blocks = (
        f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n{escape(cue.text, quote=False)}\n"
        for cue in cues(transcript)
    )
    return "\n".join(["WEBVTT\n", *blocks])


FORMATS: dict[str, Callable[[Transcript], str]] = {"srt": srt, "vtt": vtt, "txt": txt}


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and not _fits(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _fits(group: list[Word], word: Word) -> bool:
    soon = word.start_s - group[-1].end_s < PAUSE_S and word.end_s - group[0].start_s <= LONGEST_S
    return soon and len(_lines([*group, word])) <= N_LINES


def _lines(group: list[Word]) -> list[str]:
    return wrap(" ".join(word.text for word in group), WIDTH, break_on_hyphens=False)


def _time(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"
