"""The guard: a pure ASGI layer before all routes; what it does not let through, no route ever sees.

The threats are those of every server on localhost: a page of another site that is open in the same browser (DNS
rebinding, cross-site requests, probing by media elements), other programs and users of the machine, and floods.

1. *Host* must be this server's own, with its port: a name that an attacker points at 127.0.0.1 is refused.
2. *Origin* and *Sec-Fetch-Site* must say "same origin", but for opening the page itself.
3. What is under ``/api`` needs the secret of this start: the cookie that the page got for the token in the address
   that `soundalike serve` has printed, or the token itself as ``Authorization: Bearer``.
4. Bodies are limited, as declared and as they arrive, in size and in silence between two pieces.
5. Answers carry a Content-Security-Policy under which nothing but this server's own files is ever loaded or run.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 4 << 20  # bytes
MAX_UPLOAD = 200 << 20  # bytes, of a sound that is dropped on the page
MAX_RANGES = 16  # of a sound, in one request
SILENCE_S = 30.0  # between two pieces of a body
UPLOADS = "/api/uploads"
SESSION = "/api/session"

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
_BODY_TYPES = ("application/json", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one start."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)  # in the printed address
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)  # what the page gets for it

    @property
    def cookie_name(self) -> str:
        """Cookies are not told apart by port: the name does it."""
        return f"soundalike-{self.port}"

    def set_cookie(self) -> str:
        """Header that hands out the cookie."""
        return f"{self.cookie_name}={self.cookie}; Path=/; HttpOnly; SameSite=Strict"

    def fits(self, token: str) -> bool:
        """Whether this is the token."""
        return secrets.compare_digest(token.encode(), self.token.encode())


class Refusal(Exception):
    """Why a request is not let through."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Guard:
    """Wraps an ASGI application."""

    def __init__(self, app: App, keys: Keys) -> None:
        self._app, self._keys = app, keys
        self._hosts = {f"{name}:{keys.port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and hand it on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})  # there are no web sockets here
        answer = _Answer(send)
        try:
            headers = _read(scope)
            self._check(scope, headers)
            limit = MAX_UPLOAD if scope["path"] == UPLOADS else MAX_BODY
            body = _Body(receive, answer, _declared(headers, limit), limit)
        except Refusal as refusal:
            return await answer.refuse(refusal)
        await self._app(scope, body, answer)
        return None

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        path: str = scope["path"]
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise Refusal(421, "this server answers to its own address only: open the one that it has printed")
        _check_path(path)
        _check_site(scope["method"], path, host, headers)
        if headers.get("range", "").count(",") >= MAX_RANGES:
            raise Refusal(416, f"at most {MAX_RANGES} ranges can be asked for at once")
        if scope["method"] == "POST" and headers.get("content-type", "").split(";")[0].strip() not in _BODY_TYPES:
            raise Refusal(415, f"the body of a POST is {' or '.join(_BODY_TYPES)}")
        if path.startswith("/api") and path != SESSION and not self._is_known(headers):
            raise Refusal(401, "open the address that `soundalike serve` has printed")

    def _is_known(self, headers: dict[str, str]) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._keys.fits(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._keys.cookie_name)
        except CookieError:
            return False
        return cookie is not None and secrets.compare_digest(cookie.value.encode(), self._keys.cookie.encode())


def _read(scope: Scope) -> dict[str, str]:
    """Headers by name; those that decide must not be there twice."""
    headers: dict[str, str] = {}
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and name in ("host", "origin", "content-length", "authorization", "sec-fetch-site"):
            raise Refusal(400, f"the header {name} is there twice")
        headers[name] = f"{headers[name]}; {value.decode('latin-1')}" if name in headers else value.decode("latin-1")
    return headers


def _check_path(path: str) -> None:
    """No path has a meaning here that a browser would not send as it is."""
    parts = path.split("/")
    if not path.startswith("/") or "\\" in path or "\0" in path or ".." in parts or "." in parts or "//" in path:
        raise Refusal(404, "there is nothing at this address")


def _check_site(method: str, path: str, host: str, headers: dict[str, str]) -> None:
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is not None and origin.lower() != f"http://{host}":
        raise Refusal(403, "another site may not ask this server")
    opens_page = (
        method == "GET" and not path.startswith("/api")
        and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )  # fmt: skip
    if site not in ("same-origin", "none") and not opens_page:
        raise Refusal(403, "another site may not ask this server")


def _declared(headers: dict[str, str], limit: int) -> int | None:
    """Declared size of the body; None if it comes in pieces.

    A size that is no number, the server before this one has refused.
    """
    declared = headers.get("content-length")
    if declared is None:
        return None
    if not declared.isdigit():
        raise Refusal(400, "the length of the body is no number")
    if int(declared) > limit:
        raise Refusal(413, _too_large(limit))
    return int(declared)


def _too_large(limit: int) -> str:
    return f"this is more than {limit >> 20} MB, which is as much as is taken here"


class _Body:
    """The body of a request as it arrives: not more than the limit, and not for ever."""

    def __init__(self, receive: Receive, answer: _Answer, declared: int | None, limit: int) -> None:
        self._receive, self._answer, self._limit = receive, answer, limit
        self._n_bytes = 0
        self._more = declared != 0

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()  # the end of the connection
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await self._receive()
        except TimeoutError:
            return await self._give_up(Refusal(408, f"nothing came for {SILENCE_S:.0f} s"))
        self._n_bytes += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._n_bytes > self._limit:
            return await self._give_up(Refusal(413, _too_large(self._limit)))
        return message

    async def _give_up(self, refusal: Refusal) -> Message:
        """Answer, and let whoever reads the body think that the other side has gone."""
        self._more = False
        await self._answer.refuse(refusal)
        return {"type": "http.disconnect"}


class _Answer:
    """The answer to a request, with the headers that every answer has; after a refusal, nothing follows."""

    def __init__(self, send: Send) -> None:
        self._send, self._begun, self._refused = send, False, False

    async def __call__(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start":
            self._begun = True
            there = {name.lower() for name, _ in message["headers"]}
            own = dict(_HEADERS) if b"cache-control" in there else {**_HEADERS, "cache-control": "no-store"}
            added = [(name.encode(), value.encode()) for name, value in own.items() if name.encode() not in there]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._begun or self._refused:
            return
        body = orjson.dumps({"error": refusal.reason})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))  # what is left of the body is not read
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
        self._refused = True
