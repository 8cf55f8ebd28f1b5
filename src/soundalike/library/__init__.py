"""The library: index sounds once, find them by sound, by words, by both.

One folder holds it: an SQLite database, which is the truth, and caches that can be deleted at any time.
Where to read:

    schema      the tables, as migrations              ingest    paths to rows: new, moved, changed, gone
    store       reading                                caches    flat files and index kept in step
    writer      writing, database: the one-writer lock finder    question to matches
    matrix      vectors as flat files                  ranking   exact and approximate nearest sounds
    index       HNSW over the flat files               rebuild   to another model
    answers     questions about many sounds at once    findings  what they are answered with
    maps        the map that is kept and added to  duplicates  which sounds are one recording
"""

from soundalike.library.library import Library, default_path
from soundalike.library.values import Answer, Filters, Match, Metric, Part, Progress, Query, Sound, Status

__all__ = [
    "Answer",
    "Filters",
    "Library",
    "Match",
    "Metric",
    "Part",
    "Progress",
    "Query",
    "Sound",
    "Status",
    "default_path",
]
