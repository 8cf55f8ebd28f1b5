"""Speech: the words in a sound and when they are said; whether two voices are one speaker's.

file ─ audio.read ─► blocks ─ windows ─► overlapping windows ─ Encoder.logits ─► the likeliest character of each frame
─ spell ─► words with times = Transcript ─► text, JSON, subtitles
"""

from soundalike.speech.ctc import Word
from soundalike.speech.flow import Transcript, transcribe, transcribe_files
from soundalike.speech.speakers import Voices, compare_voices

__all__ = ["Transcript", "Voices", "Word", "compare_voices", "transcribe", "transcribe_files"]
