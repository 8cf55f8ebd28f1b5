"""Labels that people write: a folder for each label, or a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

from soundalike.errors import SoundalikeError
from soundalike.folders import find_sounds
from soundalike.readable import why


def read_labels(source: str | Path) -> dict[Path, str]:
    """Read which sound has which label.

    Parameters
    ----------
    source : a folder with one folder for each label, called as it (sounds below it have it, at any depth); or a
        CSV file with a path and a label in each row (a header row ``path,label`` may lead), where paths are
        relative to the CSV file

    Returns
    -------
    Label by absolute path, in the order they were found

    Raises
    ------
    SoundalikeError
        if there is nothing to read, or one sound has two labels
    """
    path = Path(source).expanduser().absolute()
    found = _of_folders(path) if path.is_dir() else _of_table(path)
    if not found:
        raise SoundalikeError(f"{path}: no labels here: give a folder for each label, or a CSV file of path,label")
    return found


def _of_folders(root: Path) -> dict[Path, str]:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    return {sound.path: folder.name for folder in folders for sound in find_sounds([folder])}


def _of_table(path: Path) -> dict[Path, str]:
    found: dict[Path, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as table:
            for number, row in enumerate(csv.reader(table), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (number == 1 and [cell.lower() for cell in cells[:2]] == ["path", "label"]):
                    continue
                if len(cells) < 2 or not (cells[0] and cells[1]):
                    raise SoundalikeError(f"{path}, line {number}: a path and a label are needed: path,label")
                sound = (path.parent / Path(cells[0]).expanduser()).absolute()
                if found.setdefault(sound, cells[1]) != cells[1]:
                    raise SoundalikeError(f"{path}, line {number}: {cells[0]} has two labels")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SoundalikeError(f"{path}: labels cannot be read here ({why(error)})") from error
    return found
