"""Keys and passwords: read from the environment, never from a command line, and never shown."""

from __future__ import annotations

import os
import re

NAMES = {  # store: the variable its own documentation uses
    "qdrant": "QDRANT_API_KEY",
    "pinecone": "PINECONE_API_KEY",
    "postgresql": "PGPASSWORD",
    "weaviate": "WEAVIATE_API_KEY",
    "chroma": "CHROMA_API_KEY",
    "milvus": "MILVUS_TOKEN",
}
_IN_URL = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def secret(store: str) -> str | None:
    """Read the key of a store; None if there is none."""
    return os.environ.get(NAMES[store]) or None


def hidden(text: str) -> str:
    """Blot out every key and password in a text that will be shown."""
    for name in NAMES.values():
        value = os.environ.get(name)
        if value:
            text = text.replace(value, "***")
    return _IN_URL.sub(r"\1:***@", text)
