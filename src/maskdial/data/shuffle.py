"""The order of a corpus's windows: a keyed permutation of 0 … n-1 that is computed, never stored.

A balanced Feistel network permutes the smallest power of four that holds n; a value that falls outside is sent round
again until it falls inside (cycle walking: Black & Rogaway 2002), which keeps a bijection. Memory is O(1) in n, the
arithmetic is 64-bit integers only, so every machine gives the same order.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 8
#: Half a domain is at least this many bits: a tiny network reaches too few permutations to look shuffled.
MIN_HALF = 3

Words = NDArray[np.uint64]
_U30, _U27, _U31 = np.uint64(30), np.uint64(27), np.uint64(31)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def round_keys(seed: int, epoch: int) -> Words:
    """One 64-bit key a round, uint64[ROUNDS], from a digest of (seed, epoch)."""
    digest = hashlib.blake2b(f"maskdial.shuffle/1:{seed}:{epoch}".encode(), digest_size=8 * ROUNDS).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def mix(x: Words) -> Words:
    """The finaliser of SplitMix64: every input bit moves about half the output bits."""
    x = (x ^ (x >> _U30)) * _A
    x = (x ^ (x >> _U27)) * _B
    return x ^ (x >> _U31)


def _network(x: Words, half: int, keys: Words) -> Words:
    """One pass of the Feistel network over 2·half bits."""
    shift, low = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = x >> shift, x & low
    for key in keys:
        left, right = right, left ^ (mix(right ^ key) & low)
    return (left << shift) | right


def permute(numbers: ArrayLike, n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """`perm(i)` for each i of `numbers` (0 … n-1), int64 of the same length. `ValueError` outside the range."""
    x = np.atleast_1d(np.asarray(numbers)).astype(np.uint64)
    if n < 1 or n > 1 << 62:
        raise ValueError(f"a permutation needs 1 … 2^62 places, not {n}")
    if x.size and int(x.max()) >= n:
        raise ValueError(f"place {int(x.max())} lies outside 0 … {n - 1}")
    half = max(MIN_HALF, ((n - 1).bit_length() + 1) // 2)
    keys = round_keys(seed, epoch)
    y = _network(x, half, keys)
    outside = np.flatnonzero(y >= n)
    while outside.size:
        y[outside] = _network(y[outside], half, keys)
        outside = outside[y[outside] >= n]
    return y.astype(np.int64)
