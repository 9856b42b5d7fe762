"""Ctrl-C and SIGTERM: the step in hand is finished and saved, then the run ends; a second signal ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from maskdial.errors import UserError

#: Seconds in which a launcher's own copy of a signal arrives.
ECHO = 2.0


class Interrupted(UserError):  # noqa: N818 - it is no fault
    """Stopped by a signal after saving; `exit` is 130 (SIGINT) or 143 (SIGTERM)."""


class Signals:
    """`with Signals() as s:` then look at `s.received` between steps (0 or the signal's number).

    `echoed`: a launcher passes a terminal's Ctrl-C on, so that it comes twice; the same signal again at once is no second one.
    """

    def __init__(self, echoed: bool = False) -> None:
        self.received, self.echo, self.at = 0, ECHO if echoed else 0.0, 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received and time.monotonic() - self.at >= self.echo:
            os._exit(128 + number)
        if not self.received:
            self.received, self.at = number, time.monotonic()
