"""The local server: one page, one module, and a few questions that the page may ask. It listens on this machine only."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from maskdial.errors import UserError
from maskdial.explore.answers import Answers, guarded
from maskdial.explore.guard import Guard, Patient, as_json, body, plainly
from maskdial.explore.meta import meta
from maskdial.explore.module import module
from maskdial.explore.page import ICON, served
from maskdial.explore.request import Json, load, names
from maskdial.explore.runs import Runs
from maskdial.explore.texts import FIRST

if TYPE_CHECKING:
    from maskdial.explore.audited import Data

HOST = "127.0.0.1"
#: connections at a time, and seconds that an idle one is kept
CONNECTIONS, IDLE = 64, 5
#: requests that are worked on at a time; the others wait for their turn
AT_ONCE = 1

Work = Callable[[Any], Json]


def application(token: str, answers: Answers, runs: Runs | None = None, data: Data | None = None) -> Guard:
    """The page, its module and what it may ask, behind the guard."""
    known = meta(runs.comparison if runs else None, runs.tokenizer_path if runs else None)
    known["features"]["data"] = data is not None
    page, script = served(known, answers(FIRST), token), module()
    turn = CapacityLimiter(AT_ONCE)

    async def home(request: Request) -> Response:
        return HTMLResponse(page)

    routes = [
        Route("/", home, methods=["GET"]),
        Route("/ui/explorer.js", partial(_static, script, "text/javascript"), methods=["GET"]),
        Route("/ui/icon.svg", partial(_static, ICON, "image/svg+xml"), methods=["GET"]),
        Route("/api/meta", partial(_json, lambda request: known), methods=["GET"]),
        Route("/api/sample", partial(_asked, answers, turn), methods=["POST"]),
    ]
    if runs is not None:
        routes += [
            Route("/api/runs", partial(_json, lambda request: runs.overview(str(request.base_url))), methods=["GET"]),
            Route("/api/ask", partial(_asked, partial(runs.ask, answers), turn), methods=["POST"]),
            Route("/report", partial(_report, runs), methods=["GET"]),
        ]
    if data is not None:
        routes.append(Route("/api/audit", partial(_asked, data, turn), methods=["POST"]))
    return Guard(Starlette(routes=routes, exception_handlers={HTTPException: plainly, Exception: plainly}), token)


async def _static(text: str, kind: str, request: Request) -> Response:
    return Response(text, media_type=kind)


async def _json(make: Callable[[Request], Json], request: Request) -> Response:
    return Response(as_json(make(request)), media_type="application/json")


async def _asked(work: Work, turn: CapacityLimiter, request: Request) -> Response:
    """One answer. Requests wait for their turn, and one whose page has gone on meanwhile is not worked on."""
    given = await body(request)
    async with turn:
        if await request.is_disconnected():
            return Response(status_code=204)
        made = await run_sync(lambda: as_json(guarded(lambda: work(load(given)))))
    return Response(made, media_type="application/json")


async def _report(runs: Runs, request: Request) -> Response:
    """The comparison's own page. It brings a policy that lets its one script run, so the server's must not forbid it."""
    if (found := runs.report()) is None:
        raise HTTPException(404, "this folder has no report")
    return HTMLResponse(found, headers={"content-security-policy": "frame-ancestors 'none'"})


def listen(port: int = 0) -> socket.socket:
    """A socket on this machine only, which listens when the server runs; `UserError` when the port is taken."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        raise UserError(f"port {port} can't be had: {error.strerror}", hint="leave --port out to take a free one", code="explore.port",
                        where="--port", exit=1) from error  # fmt: skip
    return made


def server(app: Guard) -> uvicorn.Server:
    """What answers: a bounded number of clients, none of them for ever."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, http=Patient, ws="none", lifespan="off", server_header=False,
        limit_concurrency=CONNECTIONS, timeout_keep_alive=IDLE, timeout_graceful_shutdown=1, h11_max_incomplete_event_size=1 << 14,
    )  # fmt: skip
    return uvicorn.Server(config)


def warm(answers: Answers, runs: Runs | None = None) -> threading.Thread:
    """Compiles what the recipes need and reads the models, behind the first page's back."""

    def work() -> None:
        for name in names():
            answers({"objective": name, "text": FIRST["text"]})
        for model in runs.models.values() if runs else ():
            model.asked  # noqa: B018 - read once and kept

    thread = threading.Thread(target=work, name="warm", daemon=True)
    thread.start()
    return thread
