"""Ctrl-C and SIGTERM: the step in hand is finished and saved, then the run ends; a second signal ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from maskdial.errors import UserError


class Interrupted(UserError):  # noqa: N818 - it is no fault
    """Stopped by a signal after saving; `exit` is 130 (SIGINT) or 143 (SIGTERM)."""


class Signals:
    """`with Signals() as s:` then look at `s.received` between steps (0 or the signal's number)."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
