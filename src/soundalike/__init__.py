"""Soundalike: sounds to vectors, vectors to answers."""

from __future__ import annotations

__version__ = "0.1.0"
