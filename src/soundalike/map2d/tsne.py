"""A flat layout of vectors in which neighbors stay neighbors, and a place in it for what comes later.

t-SNE in the shape that scales: principal components, the 15 nearest neighbors of each point with equal weights,
a start from the first two components, and repulsion from a potential on a grid by FFT, as particle-mesh codes of
physics do it. One iteration costs a fifth of a second at 100,000 points.

References
----------
van der Maaten and Hinton (2008), Visualizing data using t-SNE, JMLR 9.
Linderman et al. (2019), Fast interpolation-based t-SNE, Nature Methods 16: repulsion on a grid by FFT.
Kobak and Berens (2019), The art of using t-SNE, Nature Communications 10: start and learning rate.
Böhm et al. (2022), Attraction-repulsion spectrum in neighbor embeddings, JMLR 23: equal weights, exaggeration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from soundalike.map2d.neighbors import Rows, neighbors
from soundalike.types import F32, F64

N_COMPONENTS = 50
K = 15  # neighbors that attract
MOST = 200_000  # points that are laid out; more are placed among these
EARLY, N_STEPS = 250, 750  # iterations: with stronger attraction, and in all
EARLY_PULL = 12.0  # how much stronger attraction is in the early ones
CELL = 0.5  # of the grid; the kernel of the layout has a width of 1
_PULLS = 50  # iterations that place a new point
MOST_PAIRS = 150  # points among which every pair is computed
_DRAW = 20_000  # points that the components are found from
OnProgress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Say nothing of how it goes."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Places of vectors in the plane, and what is needed to place more."""

    positions: F32 = field(repr=False)  # (n, 2); distances mean something to the neighbors only, the unit nothing
    points: F32 = field(repr=False)  # (n_laid, n_components): those that were laid out
    laid: Rows = field(repr=False)  # (n_laid,): their rows
    center: F32 = field(repr=False)  # (dim,)
    components: F32 = field(repr=False)  # (n_components, dim)

    def transform(self, vectors: F32) -> F32:
        """Place other vectors among these, which stay where they are: positions ``(m, 2)``.

        A new point starts at its nearest neighbor and goes where its 15 nearest pull it, each pull weaker with the
        distance, so that neighbors in two corners do not put it in the empty middle.

        Parameters
        ----------
        vectors : (m, dim), from the pipeline of those that were laid out
        """
        points = _project(vectors, self.center, self.components)
        return _placed(self.points, self.positions[self.laid], points)


def layout(vectors: F32, *, seed: int = 0, on_progress: OnProgress = no_progress) -> Layout:
    """Lay vectors out in the plane.

    The same vectors and seed give the same layout. Above 200,000 vectors, so many are drawn and laid out, and the
    others placed among them.

    Parameters
    ----------
    vectors : (n, dim), unit norm
    seed : of draws, and of the small shifts that tell copies of one sound apart
    on_progress : called with how many iterations are done, and of how many
    """
    rng = np.random.default_rng(seed)
    laid = np.sort(rng.permutation(len(vectors))[:MOST])
    center, components = _components(vectors[np.sort(rng.permutation(len(vectors))[:_DRAW])])
    points = _project(vectors, center, components)
    start = _start(points[laid], rng)
    places = _optimize(start, _attraction(points[laid]), on_progress) if len(laid) > 3 else start
    positions = np.empty((len(vectors), 2), np.float32)
    positions[laid] = places
    rest = np.setdiff1d(np.arange(len(vectors)), laid)
    positions[rest] = _placed(points[laid], positions[laid], points[rest])
    return Layout(positions, points[laid], laid, center, components)


def _components(vectors: F32) -> tuple[F32, F32]:
    """Mean ``(dim,)`` and principal components ``(n, dim)``; each one's largest number is positive."""
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32), np.zeros((2, vectors.shape[1]), np.float32)
    center = vectors.mean(axis=0, dtype=np.float64)
    centered = vectors - center
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :N_COMPONENTS].T
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return center.astype(np.float32), (axes * signs[:, None]).astype(np.float32)


def _project(vectors: F32, center: F32, components: F32) -> F32:
    return np.asarray((vectors - center) @ components.T, np.float32)


def _start(points: F32, rng: np.random.Generator) -> F64:
    """Begin with the first two components, tiny, so that all can move past each other."""
    first = np.zeros((len(points), 2))
    if not len(points):
        return first
    first[:, : points.shape[1]] = points[:, :2]
    first += 0.01 * first.std() * rng.normal(size=first.shape)
    scaled: F64 = first * (1e-4 / max(float(first[:, 0].std()), 1e-12))
    return scaled


def _attraction(points: F32) -> Any:
    """Symmetric weights of neighbors, a sparse matrix ``(n, n)`` whose sum is 1."""
    from scipy.sparse import csr_matrix

    n = len(points)
    k = min(K, max(2, n // 3))
    found = neighbors(points, points, k + 1)
    own = found == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # among copies, a point need not be its own nearest
    near = found[~own].reshape(n, k)
    graph = csr_matrix((np.ones(n * k), near.ravel(), np.arange(0, n * k + 1, k)), (n, n))
    graph = (graph + graph.T).tocsr()
    graph.sort_indices()
    return graph / graph.sum()


def _optimize(places: F64, pull: Any, on_progress: OnProgress) -> F64:
    """Gradient descent with momentum, and gains for each coordinate (Jacobs 1988)."""
    speed, gains = np.zeros_like(places), np.ones_like(places)
    for step in range(N_STEPS):
        strength, keep = (EARLY_PULL, 0.5) if step < EARLY else (1.0, 0.8)
        force = strength * _pulled(places, pull) + _pushed(places)
        same = np.sign(force) == np.sign(speed)
        gains = np.maximum(np.where(same, gains + 0.2, gains * 0.8), 0.01)
        speed = keep * speed + len(places) / strength * gains * force
        length = np.hypot(speed[:, :1], speed[:, 1:])
        speed *= np.minimum(1, 5 / np.maximum(length, 1e-12))  # nobody leaps
        places = places + speed
        places -= places.mean(axis=0)
        on_progress(step + 1, N_STEPS)
    return places


def _pulled(places: F64, pull: Any) -> F64:
    """Force ``(n, 2)`` of the neighbors on each point."""
    from scipy.sparse import csr_matrix

    x, y = np.ascontiguousarray(places.T)
    degrees = np.diff(pull.indptr)
    square = (np.repeat(x, degrees) - x[pull.indices]) ** 2 + (np.repeat(y, degrees) - y[pull.indices]) ** 2
    weighted = csr_matrix((pull.data / (1 + square), pull.indices, pull.indptr), pull.shape)
    sums = weighted @ np.stack([x, y, np.ones_like(x)], axis=1)
    force: F64 = sums[:, :2] - sums[:, 2:] * places
    return force


def _pushed(places: F64) -> F64:
    """Force ``(n, 2)`` of all points on each.

    With q = 1 / (1 + d²), it is the sum of q² times the way from the other point, divided by the sum of q over all
    pairs. Of many points, each is spread over the 16 corners of a grid around it, and takes the sums from there.
    """
    if len(places) <= MOST_PAIRS:
        apart = places[:, None] - places
        q = 1 / (1 + (apart * apart).sum(axis=2))
        push, potential = ((q * q)[..., None] * apart).sum(axis=1), q.sum(axis=1)
    else:
        spread, cell = _spread(places)
        mass = spread.T @ np.ones(len(places))
        sums = spread @ _fields(mass, cell)
        push, potential = sums[:, 1:], sums[:, 0]
    forces: F64 = push / max(float(potential.sum()) - len(places), 1e-12)
    return forces


def _spread(places: F64) -> tuple[Any, float]:
    """Weights of the corners of a square grid for each point, a sparse matrix ``(n, n_corners)``, and its spacing.

    A cubic through four corners in each direction (Lagrange): a smooth field is read with an error of spacing⁴.
    """
    from scipy.sparse import csr_matrix

    low = places.min(axis=0)
    span = float((places.max(axis=0) - low).max())
    cell = min(CELL, 2.0 ** np.floor(np.log2(max(span, 1e-9) / 64)))
    side = 32 * int(np.ceil((span / cell + 4) / 32))
    at = (places - low) / cell + 1
    first = at.astype(np.int64)
    t = at - first
    before, after, far = t + 1, t - 1, t - 2
    weights = np.stack([-t * after * far / 6, before * after * far / 2, -before * t * far / 2, before * t * after / 6])
    steps = np.arange(-1, 3)
    corners = (first[:, 0, None, None] + steps[:, None]) * side + first[:, 1, None, None] + steps
    data = weights[:, :, 0].T[:, :, None] * weights[:, :, 1].T[:, None, :]
    rows = np.arange(0, 16 * len(places) + 1, 16)
    return csr_matrix((data.ravel(), corners.ravel(), rows), (len(places), side * side)), cell


def _fields(mass: F64, cell: float) -> F64:
    """Sum of q, and of q² times the way in both directions, at each corner: ``(n_corners, 3)``."""
    from scipy.fft import irfft2, rfft2

    side = round(len(mass) ** 0.5)
    spectrum = rfft2(mass.reshape(side, side), (2 * side, 2 * side))
    grids = [irfft2(spectrum * kernel, (2 * side, 2 * side))[:side, :side] for kernel in _kernels(side, cell)]
    return np.stack([grid.ravel() for grid in grids], axis=1)


@lru_cache(maxsize=2)
def _kernels(n: int, cell: float) -> list[npt.NDArray[np.complex128]]:
    from scipy.fft import rfft2

    way = cell * np.fft.fftfreq(2 * n, 1 / (2 * n))
    q = 1 / (1 + way[:, None] ** 2 + way[None, :] ** 2)
    return [rfft2(kernel) for kernel in (q, q * q * way[:, None], q * q * way[None, :])]


def _placed(points: F32, positions: F32, new: F32) -> F32:
    """Positions ``(m, 2)`` of new points among those that are placed."""
    near = neighbors(points, new, K)
    if not near.size:
        return np.zeros((len(new), 2), np.float32)
    around = positions[near].astype(np.float64)
    at = around[:, 0]
    for _ in range(_PULLS):
        weights = 1 / (1 + ((around - at[:, None]) ** 2).sum(axis=2))
        at = (around * weights[..., None]).sum(axis=1) / weights.sum(axis=1)[:, None]
    return at.astype(np.float32)
