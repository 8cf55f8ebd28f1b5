"""A map of sounds: a flat layout of their vectors, in which alike lies near alike.

    laid = layout(vectors)              # laid.positions (n, 2)
    laid.transform(new_vectors)         # places for others; nobody moves

Pure functions on unit vectors; `soundalike.Library.map` has the same for a library. Where to read: tsne (how it
is made), neighbors (who is near whom).
"""

from soundalike.map2d.tsne import Layout, OnProgress, layout, no_progress

__all__ = ["Layout", "OnProgress", "layout", "no_progress"]
