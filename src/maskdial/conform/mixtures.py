"""Claims of mixtures: how often each member comes."""

from __future__ import annotations

from typing import Any

CLAIMS: dict[str, Any] = {}
