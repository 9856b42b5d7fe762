"""Counter-based draws: noise is a pure function of (seed, name, epoch, sample, site, counter). No generator state exists.

A key is made once a unit; a draw mixes the key with a counter: a token's position, the number of a draw, or of a pair of tokens that
shares one (docs/decisions/007). Each use has its own *site*, so that a new draw in one place never moves another. The mixer is the
finaliser of SplitMix64 (Steele, Lea & Flood 2014, with Stafford's constants "mix13").
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
SITE = np.uint64(0xD1B54A32D192ED03)
#: where every unit has number 0
ZERO = np.empty(0, dtype=np.int64)
U1, U27, U30, U31, U32 = np.uint64(1), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW_HALF = np.uint64(2**32 - 1)

#: One number a use of noise. Never renumber: the noise of every recipe would change.
SELECT, RENDER, REPLACE, LENGTHS, CUT, KEEP, PERMUTE, ROTATE, SPLIT, INSERT, ROLL, COUNT, FRAME = range(1, 14)
RUN, SHUFFLE, GUESSES, GUESSED, GAPS = range(20, 25)
MIDDLE, BLANKS, PLACES, TURNS, CHOSEN, RANKS, LEVELS, NOISE = range(26, 34)


@cache
def _sources(file: Path) -> frozenset[Path]:
    """A kernel's file and every file of this package that it imports when it is imported, however far."""
    root, found, new = Path(__file__).parent, {Path(__file__)}, [file]
    while new:
        at = new.pop()
        if at not in found or at == file:
            found.add(at)
            for name in re.findall(r"^from maskdial\.([\w.]+) import", at.read_text(encoding="utf-8"), re.MULTILINE):
                path = root.joinpath(*name.split(".")).with_suffix(".py")
                new += [path] if path.is_file() and path not in found else []
    return frozenset(found)


@cache
def _cache_folder(file: Path) -> str | None:
    """Where compiled kernels of a file are kept: a folder named by a digest of what they are made from.

    numba's own index looks at a kernel's file only, so an edit of this file would keep the old noise running.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(_sources(file)):
        digest.update(source.read_bytes())
    base = os.environ.get("MASKDIAL_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "maskdial")
    for parent in (base, os.path.join(tempfile.gettempdir(), f"maskdial-{os.getuid() if hasattr(os, 'getuid') else 0}")):
        folder = os.path.join(parent, "kernels", digest.hexdigest())
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop: cached on disk, without the interpreter lock, so that threads scale."""
    folder = _cache_folder(Path(function.__code__.co_filename))
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        config.CACHE_DIR = folder or before
        return numba.njit(nogil=True, cache=folder is not None, boundscheck=False)(function)
    finally:
        config.CACHE_DIR = before


def inlined(function: Callable[..., Any]) -> Any:
    """A part of kernels that is written out where it is called: a call with arrays costs more than a short run's copy."""
    return numba.njit(nogil=True, forceinline=True, boundscheck=False)(function)


@inlined
def copy(source, first, count, target, place):  # type: ignore[no-untyped-def]
    """`target[place:place+count] = source[first:first+count]`: unsigned indices need no wrap-around test, and assigning a slice
    would ask at each token whether the two overlap."""
    a, b = np.uint64(first), np.uint64(place)
    for i in range(np.uint64(count)):
        target[b + i] = source[a + i]


@kernel
def mix(z: np.uint64) -> np.uint64:
    """A bijection of 64 bits that scatters neighbours."""
    z = (z ^ (z >> U30)) * MIX_A
    z = (z ^ (z >> U27)) * MIX_B
    return z ^ (z >> U31)


@kernel
def site(key: np.uint64, use: int) -> np.uint64:
    """The key of one use of noise."""
    return mix(key ^ (np.uint64(use) * SITE))


@kernel
def draw(key: np.uint64, counter: np.uint64) -> np.uint64:
    """64 random bits."""
    return mix(key + np.uint64(counter) * GOLDEN)


@kernel
def below(bits: np.uint64, n: int) -> np.uint64:
    """A whole number uniform in 0 … n-1 (n < 2^32)."""
    return ((bits >> U32) * np.uint64(n)) >> U32


@inlined
def coins(key, limit, out):  # type: ignore[no-untyped-def]
    """1 where the 32 bits of a place fall below `limit` of 2^32, else 0. Two places share a draw: the first has its upper half.
    (What `draw` multiplies by its number is summed up here.)"""
    size = np.uint64(len(out))
    for j in range(size >> U1):
        bits = mix(key)
        out[j + j], out[j + j + U1] = (bits >> U32) < limit, (bits & LOW_HALF) < limit
        key += GOLDEN
    if size & U1:
        out[size - U1] = (mix(key) >> U32) < limit


@lru_cache(maxsize=1024)
def threshold(rate: float) -> np.uint64:
    """The bound t for which `bits >> 32 < t` happens with probability `rate`."""
    return np.uint64(round(rate * 2.0**32))


def _mix(z: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    z = (z ^ (z >> U30)) * MIX_A
    z = (z ^ (z >> U27)) * MIX_B
    return z ^ (z >> U31)


def _mix_int(z: int) -> int:
    z = (z ^ (z >> 30)) * int(MIX_A) % 2**64
    z = (z ^ (z >> 27)) * int(MIX_B) % 2**64
    return z ^ (z >> 31)


def below_each(keys: UInt64[np.ndarray, " u"], use: int, counter: int, n: int) -> Int64[np.ndarray, " u"]:
    """`below(draw(site(key, use), counter), n)` of many keys at once."""
    at = np.array([use, counter], dtype=np.uint64)
    bits = _mix(_mix(keys ^ (at[:1] * SITE)) + at[1:] * GOLDEN)
    return (((bits >> U32) * np.uint64(n)) >> U32).astype(np.int64)


@kernel
def _keys(stem, which, epoch, index, number, out):  # type: ignore[no-untyped-def]
    for u in range(len(out)):
        of_epoch = mix((stem[which[u] if len(which) else 0] ^ epoch) + GOLDEN)
        key = mix((of_epoch ^ index[u]) + GOLDEN)
        part = np.uint64(number[u]) if len(number) else np.uint64(0)
        out[u] = mix((key ^ part) + GOLDEN) if part else key


@cache
def word(name: str) -> int:
    """64 bits that stand for a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=1024)
def _stems(seed: int, names: tuple[str, ...]) -> UInt64[np.ndarray, " k"]:
    stems = []
    for name in names:
        stem = 0
        for value in (seed % 2**64, word(name)):
            stem = _mix_int(((stem ^ value) + int(GOLDEN)) % 2**64)
        stems.append(stem)
    return np.array(stems, dtype=np.uint64)


def keys(
    seed: int, name: str | Sequence[str], epoch: int, index: UInt64[np.ndarray, " u"], number: Int64[np.ndarray, " u"] | None = None,
    which: Int64[np.ndarray, " u"] | None = None,
) -> UInt64[np.ndarray, " u"]:  # fmt: skip
    """One key a unit, from the seed, the recipe's name, the epoch, the global sample number and the document's number in
    its row (0 leaves the key as it is, so that a document noised alone and first in a row gets the same noise). Of several names,
    `which` says each unit's."""
    stems, made = _stems(seed, (name,) if isinstance(name, str) else tuple(name)), np.empty(len(index), dtype=np.uint64)
    _keys(stems, ZERO if which is None else which, np.uint64(epoch % 2**64), np.asarray(index, dtype=np.uint64),
          ZERO if number is None else number, made)  # fmt: skip
    return made
