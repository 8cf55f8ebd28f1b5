"""A confusion matrix as a picture."""

from __future__ import annotations

from soundalike.canvas import Canvas, Color
from soundalike.classify.testing import Report

PAPER: Color = (252, 252, 250)
INK: Color = (38, 38, 52)
FAINT: Color = (128, 128, 140)
RIGHT: Color = (34, 120, 92)
WRONG: Color = (196, 72, 48)
GRID: Color = (232, 232, 234)
MOST, LONGEST = 40, 22  # labels in one picture; letters of a label


def draw_confusion(report: Report) -> bytes:
    """Draw true labels (rows) against what was said (columns), as a PNG file.

    With more than 40 labels, the 40 that have the most examples are drawn.
    """
    order = sorted(range(len(report.labels)), key=lambda i: -int(report.confusion[i].sum()))[:MOST]
    rows = sorted(order)
    cell = max(24, min(56, 900 // len(rows)))
    names = [_short(report.labels[i]) for i in rows]
    left = 12 * max(map(len, names)) + 72
    numbers_scale = 2 if cell >= 40 else 1
    top, side = 92, cell * len(rows)
    width = max(left + side + 40, 760)
    canvas = Canvas(width, top + side + 60, PAPER)
    counts = f"{report.confusion.sum()} sounds, {report.n_folds}-fold cross-validation"
    canvas.text(24, 18, f"{report.accuracy:.1%} right; {counts}", INK)
    canvas.text(24, 46, "rows: true label; columns, numbered alike: what was said", FAINT)
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + place * cell
        canvas.text(left - 12, y + cell // 2 - 8, f"{name} {place + 1}", INK, align=1.0)
        canvas.text(left + place * cell + cell // 2, top + side + 12, str(place + 1), FAINT, align=0.5,
                    scale=numbers_scale)  # fmt: skip
        total = max(int(report.confusion[row].sum()), 1)
        for column_place, column in enumerate(rows):
            count, x = int(report.confusion[row, column]), left + column_place * cell
            canvas.box(x, y, cell - 2, cell - 2, GRID)
            if count:
                share = count / total
                canvas.box(x, y, cell - 2, cell - 2, RIGHT if row == column else WRONG, 0.15 + 0.85 * share)
                ink = PAPER if share > 0.5 else INK
                height = 4 * numbers_scale
                canvas.text(x + cell // 2 - 1, y + cell // 2 - height, str(count), ink, align=0.5, scale=numbers_scale)
    return canvas.png()


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "."
