"""A map of sounds: a flat layout of their vectors, in which alike lies near alike.

    laid = layout(vectors)              # laid.positions (n, 2)
    laid.transform(new_vectors)         # places for others; nobody moves

Pure functions on unit vectors; `soundalike.Library.map` has the same for a library. Where to read: tsne (how it
is made), neighbors (who is near whom), scene (what is drawn), page (one HTML file; page.html, .css and .js are its
parts), picture (PNG), colors.
"""

from soundalike.map2d.page import draw_page
from soundalike.map2d.picture import draw_picture
from soundalike.map2d.scene import IN_NONE, Scene, scene
from soundalike.map2d.tsne import N_STEPS, Layout, OnProgress, layout, no_progress

__all__ = [
    "IN_NONE", "N_STEPS", "Layout", "OnProgress", "Scene", "draw_page", "draw_picture", "layout", "no_progress",
    "scene",
]  # fmt: skip
