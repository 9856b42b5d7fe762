"""Claims of the objectives over pairs of texts."""

from __future__ import annotations

from typing import Any

CLAIMS: dict[str, Any] = {}
