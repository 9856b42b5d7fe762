"""What can be asked of an objective, read off a small sample of its own by the sample's provenance: no name decides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from maskdial.sample import MASK, SENTINEL, SILENT, Sample, Samples

Run = tuple[int, int]
#: tokens of the small text; the run that is hidden in it, and the same some tokens shorter; two runs
LENGTH, RUN, SHORTER, TWO = 96, (40, 56), (40, 53), [(20, 24), (40, 44)]


@dataclass(frozen=True)
class Facts:
    """Of a run that is hidden in a text, and of a text in which nothing is."""

    #: what stands on both sides of the run is context for all of it, and the run itself is not
    shows: bool
    #: all that stands left of it is
    left: bool
    #: each of its tokens is asked given those before it, so that their probabilities multiply to the run's
    chain: bool
    #: what is read does not tell how long it is
    one_mark_a_run: bool
    #: several runs can be hidden at once
    several: bool
    #: where nothing is hidden each token but the first is asked, given all before it
    reads_on: bool
    #: where nothing is hidden all of the text is asked, though it is in sight
    rewrites: bool
    #: what stands where the run stood
    mark: str


def facts(build: Callable[[int, Sequence[Run]], Sample]) -> Facts:
    """The facts of an objective; `build(length, runs)` is its sample of a text of so many tokens with these runs hidden."""
    one = build(LENGTH, [RUN])
    seen, (a, b) = sight(one, RUN), RUN
    asked = len(seen) == b - a
    own = any(seen[j, a + j] for j in range(len(seen)))
    left = asked and not own and bool(seen[:, :a].all())
    shows = left and bool(seen[:, b:].all())
    chain = asked and not own and all(seen[j, a : a + j].all() for j in range(1, len(seen)))
    one_mark = not shows or _gap(one, RUN) == _gap(build(LENGTH, [SHORTER]), SHORTER)
    whole = build(LENGTH, [])
    on, all_of_it = sight(whole, (1, LENGTH)), sight(whole, (0, LENGTH))
    reads_on = len(on) == LENGTH - 1 and bool((on == np.tri(LENGTH - 1, LENGTH, dtype=bool)).all())
    rewrites = len(all_of_it) == LENGTH and bool(np.diag(all_of_it).all())
    return Facts(shows, left, chain, one_mark, _several(build), reads_on, rewrites, _mark(one, one_mark) if shows else "")


def asked_at(one: Sample, run: Run) -> Int64[np.ndarray, " k"]:
    """The positions that are asked for the run's tokens, in the tokens' order."""
    at = np.flatnonzero((one.target != SILENT) & (one.answer >= run[0]) & (one.answer < run[1]))
    return at[np.argsort(one.answer[at], kind="stable")]


def sight(one: Sample, run: Run) -> Bool[np.ndarray, "k n"]:
    """[j, i]: the position that is asked for token j of the run sees token i of the text."""
    at, body = asked_at(one, run), int(one.table.body[one.row])
    from_text = np.flatnonzero((one.origin >= 0) & (one.origin < body))
    seen = np.zeros((body, len(at)), dtype=bool)
    np.logical_or.at(seen, one.origin[from_text], one.visible()[at][:, from_text].T)
    return seen.T


def _gap(one: Sample, run: Run) -> int:
    """How far apart the neighbours of the run stand for who is asked first."""
    sees = one.visible()[asked_at(one, run)[0]]
    before, after = (int(one.position[np.flatnonzero(sees & (one.origin == i))[0]]) for i in (run[0] - 1, run[1]))
    return after - before


def _several(build: Callable[[int, Sequence[Run]], Sample]) -> bool:
    try:
        build(LENGTH, TWO)
    except ValueError:
        return False
    return True


def _mark(one: Sample, one_mark: bool) -> str:
    kinds = one.kind[one.visible()[asked_at(one, RUN)[0]]]
    if SENTINEL in kinds:
        return "one sentinel"
    return ("one [MASK]" if one_mark else "a [MASK] a token") if MASK in kinds else "nothing"


def usual(samples: Samples) -> Run | None:
    """(shortest, longest) run of the text that these samples ask; None when they ask none."""
    sizes: list[int] = []
    for one in samples:
        said = np.unique(one.answer[one.target != SILENT])
        said = said[(said >= 0) & (said < samples.body[one.row])]
        ends = np.flatnonzero(np.diff(said, append=said[-1:] + 2) > 1)
        sizes += np.diff(ends, prepend=-1).tolist()
    return (min(sizes), max(sizes)) if sizes else None
