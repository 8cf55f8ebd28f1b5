"""``soundalike clusters``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import NO_SOUNDS, PATH, device_option, json_option, many, note, print_json, shown
from soundalike.cli.library import library_option

if TYPE_CHECKING:
    from soundalike.library import Library
    from soundalike.library.findings import Clusters, SoundCluster

_EXEMPLARS = 3


@click.command()
@click.option(
    "--method", default="kmeans", show_default=True, type=click.Choice(["kmeans", "dbscan", "hdbscan"]),
    help="kmeans puts every sound into a cluster; the others find dense places and leave the rest out.",
)  # fmt: skip
@click.option("--k", type=click.IntRange(min=1), help="How many clusters, for kmeans; by silhouette if not given.")
@click.option("--folder", multiple=True, type=PATH, help="Only sounds below this folder; may be repeated.")
@click.option("--m3u", type=PATH, metavar="DIR", help="Write a playlist for each cluster into this folder.")
@click.option("--copy-to", type=PATH, metavar="DIR", help="Copy the sounds into a folder for each cluster, below DIR.")
@click.option("--link-to", type=PATH, metavar="DIR", help="As --copy-to, with links in place of copies.")
@click.option("--picture", type=PATH, help="Draw a map of the sounds, colored by these clusters, to this PNG file.")
@device_option
@library_option
@json_option
def clusters(
    method: Any, k: int | None, folder: tuple[Path, ...], m3u: Path | None, copy_to: Path | None,
    link_to: Path | None, picture: Path | None, device: str, library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Group the sounds that are alike, and name the groups."""
    from soundalike.library import Filters, Library

    if k is not None and method != "kmeans":
        raise click.UsageError("--k is for --method kmeans; the other methods find the number themselves.")
    with Library.open(library, device=device) as opened:
        try:
            found = opened.clusters(method, k=k, filters=Filters(folders=folder))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        if picture is not None:
            _draw(opened, found, picture)
    for number, cluster in enumerate(found.clusters, 1):
        print_json(_record(number, cluster)) if as_json else _print(number, cluster)
    if as_json and found.outliers:
        print_json({"cluster": None, "outliers": [shown(sound.path) for sound in found.outliers]})
    if found.clusters or found.outliers:
        apart = "far from the middle of its cluster" if method == "kmeans" else "in none"
        note(f"{many(len(found.clusters), 'cluster')} ({method}, {found.rule}); {len(found.outliers)} {apart}")
    else:
        note(NO_SOUNDS)
    _keep(found, m3u, copy_to, link_to)


def _print(number: int, cluster: SoundCluster) -> None:
    words = ", ".join(cluster.words)
    click.echo(f"{number:3}  {cluster.name}  ({many(len(cluster.matches), 'sound')}; {words})")
    for match in cluster.matches[:_EXEMPLARS]:
        click.echo(f"     {match.score:.4f}  {shown(match.path)}")


def _record(number: int, cluster: SoundCluster) -> dict[str, Any]:
    paths = [shown(match.path) for match in cluster.matches]
    silhouette = cluster.silhouette if cluster.silhouette == cluster.silhouette else None
    return {
        "cluster": number, "name": cluster.name, "words": cluster.words, "silhouette": silhouette,
        "n_sounds": len(paths), "exemplars": paths[:_EXEMPLARS], "sounds": paths,
    }  # fmt: skip


def _draw(library: Library, found: Clusters, path: Path) -> None:
    """Draw the clusters on the library's map; what is in none of them is a group of its own."""
    import numpy as np

    from soundalike.export import atomic
    from soundalike.map2d import IN_NONE, draw_picture, scene

    number = {match.sound.id: i for i, one in enumerate(found.clusters) for match in one.matches}
    alone = [sound for sound in found.outliers if sound.id not in number]
    names = [one.name for one in found.clusters] + [IN_NONE] * bool(alone)
    sounds = sorted([match.sound for one in found.clusters for match in one.matches] + alone, key=lambda one: one.id)
    whole = library.map()
    rows = np.searchsorted(whole.ids, [sound.id for sound in sounds])
    of = np.array([number.get(sound.id, len(found.clusters)) for sound in sounds], np.int64)
    places = [sound.path for sound in sounds], [sound.duration_s for sound in sounds]
    content = draw_picture(scene(whole.x[rows], whole.y[rows], *places, of, names), f"Clusters: {found.method}")
    with atomic(path) as file:
        file.write(content)
    note(f"picture: {shown(path)}")


def _keep(found: Clusters, m3u: Path | None, copy_to: Path | None, link_to: Path | None) -> None:
    """Write playlists and folders, if asked; exit with 1 if a sound could not be copied."""
    from soundalike.library.results import copy_sounds, folder_name, write_m3u

    missing: list[Path] = []
    for number, cluster in enumerate(found.clusters, 1):
        name = folder_name(f"{number:02} {cluster.name}")
        if m3u is not None:
            write_m3u(cluster.matches, m3u / f"{name}.m3u")
        for folder, link in ((copy_to, False), (link_to, True)):
            if folder is not None:
                missing += copy_sounds(cluster.matches, folder / name, link=link)[1]
    for folder, what in ((m3u, "playlists"), (copy_to, "copies"), (link_to, "links")):
        if folder is not None:
            note(f"{what}: {shown(folder)}")
    for path in missing:
        note(f"failed: {shown(path)}: cannot be copied; is it still there?")
    if missing:
        sys.exit(1)
