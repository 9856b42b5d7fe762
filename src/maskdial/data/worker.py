"""A worker of `prepare`: reads jobs as JSON lines, writes what became of them; ends when nobody is there to tell."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from queue import Queue
from threading import Thread
from typing import Any

from maskdial.data.work import Work
from maskdial.errors import UserError

#: Seconds between two words of progress.
SECONDS = 0.2


class Voice:
    """Writes answers, and adds up progress so that few lines of it are written."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what a library prints is no answer
        self._count, self._at = 0, time.monotonic()

    def answer(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def said(self, count: int) -> None:
        """`count` more documents are done."""
        self._count += count
        if time.monotonic() - self._at > SECONDS:
            self.pause()

    def pause(self) -> None:
        """Tell what has not been told yet."""
        if self._count:
            self.answer({"said": self._count})
        self._count, self._at = 0, time.monotonic()


def _listen(jobs: Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(1)  # whoever asked is gone, and so is the use of what is being made


def _done(work: Work, job: dict[str, Any], voice: Voice) -> dict[str, Any]:
    try:
        result = getattr(work, job["do"])(job["number"], voice.said, **job["also"])
    except UserError as error:
        names = ("message", "hint", "code", "where", "exit")
        return {"error": {name: getattr(error, name) for name in names}}
    except OSError as error:
        return {"error": {"message": f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), "code": "os", "exit": 1}}
    except Exception as error:
        import traceback

        traceback.print_exc()
        return {"error": {"message": f"{type(error).__name__}: {error}", "code": "unexpected", "exit": 1}}
    voice.pause()
    return {"result": result}


def main() -> None:
    """Work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this decides
    voice = Voice()
    jobs: Queue[dict[str, Any]] = Queue()
    Thread(target=_listen, args=(jobs,), daemon=True).start()
    work = Work.of_json(jobs.get())
    while True:
        voice.answer(_done(work, jobs.get(), voice))


if __name__ == "__main__":
    main()
