"""The data of `--data`: audited under whatever recipe the page stands at."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from maskdial.audit import audit
from maskdial.audit.told import Audit
from maskdial.explore.answers import DECIDED, turned
from maskdial.explore.request import Json, RequestError, canonical, load, read
from maskdial.recipes import objective as find_objective

#: rows that are looked at once when the explorer starts, to find out early what can't be read
FIRST_ROWS = 8


class Data:
    """A path that `md.audit` reads. `UserError` when it can't."""

    def __init__(self, path: str) -> None:
        self.path, self._lock = path, threading.Lock()
        audit(path, rows=FIRST_ROWS, progress="auto")
        self._audit = lru_cache(maxsize=16)(self._made)

    def __call__(self, value: Any) -> Json:
        """`audit/1` for a request's `{"objective", "options"}`; `RequestError` for what can't be audited so."""
        given = value if isinstance(value, dict) else {}
        asked = read({"objective": given.get("objective"), "options": given.get("options", {}), "text": "audit"})
        with self._lock:
            found = self._audit(asked.objective, canonical(asked.options))
        return {"schema": "audit/1", "ok": True, **found.to_json()}

    def _made(self, name: str, options: str) -> Audit:
        given = load(options.encode())
        own = {key: value for key, value in given.items() if key not in (*DECIDED, "frame", "see")}
        try:
            return audit(self.path, turned(find_objective(name, **own), given.get("see"), {}, 0)[0])
        except ValueError as error:
            raise RequestError(str(error), "objective", "audit.refused") from error
