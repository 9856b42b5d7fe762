"""Who may talk to the local server, and how much: a page of another site, or a name that points here, gets nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any
from urllib.parse import urlsplit

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from maskdial.explore.page import POLICY

#: names under which this machine calls itself
HERE = ("127.0.0.1", "localhost", "::1")
#: bytes of a request's body, and seconds that it may take to arrive; as many for the lines before it
BODY, PATIENCE = 1 << 20, 10.0
SAFE = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin", "x-frame-options": "DENY",
}  # fmt: skip


def refusal(status: int, message: str) -> JSONResponse:
    """An error in the shape of every other answer."""
    error = {"code": f"http.{status}", "message": message, "hint": "", "where": "", "low": None, "high": None, "cut": None}
    # what is still coming of a request that is refused unread must not be taken for the next one
    return JSONResponse({"schema": "show/1", "ok": False, "error": error}, status_code=status, headers={"connection": "close"})


class Guard:
    """Around the application: checks where a request comes from and what it carries, and marks every response as it must be."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self.refused(scope["method"], Headers(scope=scope))
        await (refused or self.app)(scope, receive, marked)

    def refused(self, method: str, headers: Headers) -> JSONResponse | None:
        """The answer to a request that may not pass."""
        host = headers.get("host", "")
        if _name(f"//{host}") not in HERE:
            return refusal(400, "this server answers only to the name of this machine")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}".lower():
            return refusal(403, "a page of another site may not ask")
        if method not in ("GET", "HEAD", "POST"):
            return refusal(405, f"{method} is not answered here")
        if method != "POST":
            return None
        if not secrets.compare_digest(headers.get("x-maskdial-token", "").encode(), self.token.encode()):
            return refusal(403, "the page was made by another launch of the explorer: reload it")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal(415, "a request is JSON")
        length = headers.get("content-length", "0")
        return refusal(413, "the request is too large") if not length.isdecimal() or int(length) > BODY else None


def _name(address: str) -> str | None:
    try:
        split = urlsplit(address)
        split.port  # noqa: B018 - raises where it is none
        return split.hostname if not (split.username or split.path or split.query) else None
    except ValueError:
        return None


async def body(request: Request) -> bytes:
    """A request's body; 413 beyond a mebibyte and 408 when it does not come."""
    made = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.stream():
                made += piece
                if len(made) > BODY:
                    raise HTTPException(413, "the request is too large")
    except TimeoutError:
        raise HTTPException(408, "the request did not arrive") from None
    return bytes(made)


def plainly(request: Request, error: Exception) -> JSONResponse:
    """Starlette's errors in the shape of every other answer."""
    status = getattr(error, "status_code", 500)
    return refusal(status, str(getattr(error, "detail", "")) or "something went wrong")


class Patient(H11Protocol):
    """HTTP for a client that may be slow, but not for ever: a request's lines must have come within ten seconds."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(PATIENCE, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.conn.send(h11.ConnectionClosed())
            self.transport.close()


def as_json(value: Any) -> bytes:
    """Compact JSON. What a text can't hold (half a character, in an echo of a mistake) is written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
