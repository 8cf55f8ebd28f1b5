"""Which files are one recording, what was done to it, and which to keep.

Where to read, in the order of the work:

    values      what goes in and comes out          align     where one wave lies in another
    prints      what is compared of a sound         changes   gain, filter, noise, reverb between aligned waves
    lookup      landmarks propose                   warp      other pitch, tempo, speed
    finding     all of it, in parallel              texture   what other pitch and tempo leave as it was
    apart       many pairs, in processes            relation  the verdict on a pair
    groups      pairs to groups, what to keep       words     a relation in words
    trash       files away and back

    pairs, failures = find(recordings, vectors)
    for group in groups_of(pairs, recordings): ...
"""

from soundalike.duplicates.finding import LEAST_SURE, STEPS, Step, find
from soundalike.duplicates.groups import groups_of
from soundalike.duplicates.trash import last_moved, move_to_trash, put_back
from soundalike.duplicates.values import KINDS, Group, Kind, Pair, Recording, Relation
from soundalike.duplicates.words import in_words

__all__ = [
    "KINDS",
    "LEAST_SURE",
    "STEPS",
    "Group",
    "Kind",
    "Pair",
    "Recording",
    "Relation",
    "Step",
    "find",
    "groups_of",
    "in_words",
    "last_moved",
    "move_to_trash",
    "put_back",
]
