"""Vectors into vector databases, and back: Qdrant, Pinecone, Postgres, Weaviate, Chroma, Milvus, Lance.

A target is named by a `Target`; `open_store` gives its `Store`; `push`, `pull` and `ask` move rows through it.
"""

from soundalike.push.contract import Hit, Row, Shape, Store, Where
from soundalike.push.moving import Pushed, ask, pull, push
from soundalike.push.sources import read_source
from soundalike.push.target import Target, open_store

__all__ = [
    "Hit", "Pushed", "Row", "Shape", "Store", "Target", "Where", "ask", "open_store", "pull", "push", "read_source",
]  # fmt: skip
