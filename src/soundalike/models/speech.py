"""What a speech recognizer's numbers mean, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcSpec:
    """How a recognizer's logits spell words (CTC: Graves et al., ICML 2006), and how much it hears at once."""

    characters: tuple[str, ...]  # by number
    blank: str = "<pad>"  # nothing new is said
    delimiter: str = "|"  # stands between words
    hop_length: int = 320  # samples from one frame to the next
    shortest: int = 400  # samples that a frame needs
    window_s: float = 18.0  # about the longest that LibriSpeech trains on
    margin_s: float = 3.0  # at both ends of a window, heard but not kept; a sixth, as in transformers


# vocab.json of facebook/wav2vec2-base-960h: letters by how often they come in LibriSpeech.
LIBRISPEECH = CtcSpec(characters=("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"))
