"""Doing jobs in several processes: workers are programs of their own that read the text themselves and answer in JSON lines.

They are started only when there are several jobs to do, and end when whoever started them does, however it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Queue
from threading import Lock
from typing import Any

from maskdial.data.work import Work
from maskdial.errors import UserError
from maskdial.progress import Progress

#: A worker is one process with one thread, wherever its libraries would use more.
ALONE = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """`with Crew(work, 4) as crew: crew.do("make", range(10), shown)`: the results in the order of the numbers."""

    def __init__(self, work: Work, workers: int) -> None:
        self._work, self._workers = work, workers
        self._idle: Queue[subprocess.Popen[str]] = Queue()
        self._started: list[subprocess.Popen[str]] = []
        self._lock = Lock()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        for process in self._started:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.close()
            with suppress(BrokenPipeError):
                process.stdin.close()

    def _stop(self) -> None:
        for process in self._started:
            process.kill()
        for process in self._started:
            process.wait()

    def do(self, job: str, numbers: Sequence[int], shown: Progress, **also: Any) -> list[dict[str, Any]]:
        """Each number's result, in order. Of several errors that of the first number is raised."""
        if min(self._workers, len(numbers)) < 2:
            return [getattr(self._work, job)(n, shown.update, **also) for n in numbers]
        while len(self._started) < min(self._workers, len(numbers)):
            self._start()
        with ThreadPoolExecutor(len(self._started)) as pool:
            try:
                return [*pool.map(lambda n: self._ask({"do": job, "number": n, "also": also}, shown), numbers)]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()  # nobody waits for what is under way
                raise

    def _start(self) -> None:
        paths = os.pathsep.join(p for p in sys.path if p)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "maskdial.data.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | ALONE | {"PYTHONPATH": paths},
        )  # fmt: skip
        self._started.append(process)
        self._send(process, self._work.to_json())
        self._idle.put(process)

    @staticmethod
    def _send(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, as reading its answer will tell
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()

    def _ask(self, job: dict[str, Any], shown: Progress) -> dict[str, Any]:
        """Give a job to a worker that has none and wait for its result."""
        process = self._idle.get()
        try:
            self._send(process, job)
            assert process.stdout is not None
            for line in process.stdout:
                answer: dict[str, Any] = json.loads(line)
                if "said" in answer:
                    with self._lock:
                        shown.update(answer["said"])
                elif "error" in answer:
                    raise UserError(**answer["error"])
                else:
                    result: dict[str, Any] = answer["result"]
                    return result
        finally:
            self._idle.put(process)
        raise UserError(f"a worker of prepare ended by itself (status {process.wait()})", code="prepare.worker", exit=1,
                        hint="if the machine ran out of memory, give fewer --workers; what is finished is kept: run it again")  # fmt: skip

