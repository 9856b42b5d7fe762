"""Say the next token where it is asked (the flags of `corruption.asked.Ask`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdial.corruption.step import Target
from maskdial.corruption.text import Decisions, Ink, Text
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64


@kernel
def _asked(values, offsets, asked, unread, behind, silent, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        first, size = offsets[u] + behind, offsets[u + 1] - offsets[u]
        part = out[at[u] : at[u] + size - unread[u]]
        said = max(min(size - behind, len(part)), 0)
        token, flag = values[first : first + said], asked[first : first + said]
        for i in range(said):
            part[i] = token[i] if flag[i] else silent
        part[said:] = silent


class FollowingAsked(Target):
    """Targets over what is read: position i says token i + 1 (token i, where a begin token was put in front) if it is asked."""

    def write(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"],
              framed: bool) -> None:  # fmt: skip
        """Write what each position of unit u must say at `out[at[u]:]`."""
        _asked(text.values, text.offsets, d["asked"], d["unread"], int(not framed), np.int32(silent), out, at)
