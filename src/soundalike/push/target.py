"""The names of targets, and the store behind each.

=========================================  =====================================================
`qdrant://HOST[:PORT]/COLLECTION`          server (`qdrant+https://` for TLS)
`qdrant:FOLDER?collection=NAME`            inside this process, in a folder
`pinecone://INDEX[/NAMESPACE]`             Pinecone; `?host=URL` for Pinecone Local
`postgresql://[USER@]HOST/DB?table=NAME`   Postgres with pgvector; any libpq parameter may follow
`weaviate://HOST[:PORT]/COLLECTION`        server (`weaviate+https://`); `?grpc_port=50051`
`chroma://HOST[:PORT]/COLLECTION`          server (`chroma+https://`)
`chroma:FOLDER?collection=NAME`            inside this process
`milvus://HOST[:PORT]/COLLECTION`          server (`milvus+https://`)
`milvus:FILE.db?collection=NAME`           Milvus Lite, inside this process
`lance:FOLDER?collection=NAME`             inside this process; also `lance:s3://…`
=========================================  =====================================================

A collection that is not named is called "sounds".
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from soundalike.errors import MissingExtra, StoreError
from soundalike.push.contract import Store
from soundalike.push.secrets import NAMES, hidden

STORES = {  # scheme: module, class, extra
    "qdrant": ("qdrant", "Qdrant", "qdrant"),
    "pinecone": ("pinecone", "Pinecone", "pinecone"),
    "postgresql": ("postgres", "Postgres", "pgvector"),
    "weaviate": ("weaviate", "Weaviate", "weaviate"),
    "chroma": ("chroma", "Chroma", "chroma"),
    "milvus": ("milvus", "Milvus", "milvus"),
    "lance": ("lance", "Lance", "lance"),
}
_OTHER_NAMES = {"pgvector": "postgresql", "postgres": "postgresql", "lancedb": "lance"}
_ONLY_SERVER = {"pinecone", "postgresql", "weaviate"}
_ONLY_FOLDER = {"lance"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a collection is."""

    store: str  # a key of STORES
    place: str  # "http(s)://host[:port]", a folder, for Postgres its whole URL, for Pinecone the index
    collection: str
    options: dict[str, str]
    remote: bool

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read the name of a target.

        Raises
        ------
        StoreError
            if it is none, or a password stands in it
        """
        scheme, _, rest = text.partition(":")
        scheme, _, transport = scheme.partition("+")
        store = _OTHER_NAMES.get(scheme, scheme)
        if store not in STORES or not rest or transport not in ("", "http", "https"):
            raise StoreError(f"{hidden(text)}: not a target. Such as {_examples()}")
        if rest.startswith("//"):
            if store in _ONLY_FOLDER:
                raise StoreError(f"{hidden(text)}: {store} is a folder: {store}:FOLDER?collection=NAME")
            return _server(store, transport or "http", f"{store}:{rest}")
        if store in _ONLY_SERVER:
            raise StoreError(f"{hidden(text)}: {store} is a server: {store}://…")
        place, _, query = rest.partition("?")
        options = dict(parse_qsl(query))
        return cls(store, str(place), options.pop("collection", "sounds"), options, False)

    def __str__(self) -> str:
        return hidden(f"{self.store} {self.place}, collection {self.collection}")


def _examples() -> str:
    return "qdrant://localhost:6333/sounds, chroma:FOLDER, postgresql://user@host/db?table=sounds"


def _server(store: str, transport: str, url: str) -> Target:
    parts = urlsplit(url)
    if parts.password:
        name = NAMES[store]
        raise StoreError(f"{hidden(url)}: no password on the command line; put it into the environment: {name}")
    options = dict(parse_qsl(parts.query))
    if store == "postgresql":
        table = options.pop("table", options.pop("collection", "sounds"))
        return Target(store, parts._replace(query=urlencode(options)).geturl(), table, {}, True)
    collection = unquote(parts.path.strip("/")) or options.pop("collection", "")
    if store == "pinecone":
        return Target(store, parts.netloc, collection, options, True)
    return Target(store, f"{transport}://{parts.netloc}", collection or "sounds", options, True)


def open_store(target: Target | str) -> Store:
    """Connect to a store.

    Raises
    ------
    MissingExtra
        if its client is not installed
    StoreError
        if the name is none
    """
    target = Target.parse(target) if isinstance(target, str) else target
    module, name, extra = STORES[target.store]
    if not target.remote:
        Path(target.place).expanduser().parent.mkdir(parents=True, exist_ok=True)
    from soundalike.push.retry import explained, patiently

    try:
        make = getattr(import_module(f"soundalike.push.{module}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), extra) from error
    with explained(str(target)):
        store: Store = patiently(lambda: make(target))
    return store
