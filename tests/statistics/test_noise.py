"""The bits under every draw: the same in every process, equally spread, and a one-bit change moves half of them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from maskdial import rng
from tests.statistics.tolerance import draws, frequencies, uniform

MASK64 = 2**64 - 1
GOLDEN, SITE = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03


def mix(z):
    """SplitMix64's finaliser on plain integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def key(seed, name, epoch, index, number=0):
    h = 0
    for value in (seed, rng.word(name), epoch, index):
        h = mix(((h ^ value) + GOLDEN) & MASK64)
    return mix(((h ^ number) + GOLDEN) & MASK64) if number else h


GOLDEN_KEYS = {
    "bert": [8178898289774382601, 559690099978771615, 14303944853703059463],
    "t5": [2411395391136490222, 7605235802019403768],
    "bart": [8532166157387184833],
    "words": [1354938655033958110, 4162875059226581228],
}


@rng.kernel
def many(start, n):
    """n draws of a key."""
    out = np.empty(n, dtype=np.uint64)
    for i in range(n):
        out[i] = rng.draw(start, np.uint64(i))
    return out


def u64(*values):
    return np.array(values, dtype=np.uint64)


def test_draws_are_splitmix64():
    """The first outputs of Vigna's splitmix64 from state 0, as published."""
    assert [int(rng.draw(np.uint64(0), np.uint64(i))) for i in (1, 2, 3)] == [
        0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F,
    ]  # fmt: skip
    assert many(np.uint64(5), 4).tolist() == [mix((5 + i * GOLDEN) & MASK64) for i in range(4)]


def test_keys_are_what_they_were():
    """Golden vectors: a change here changes the noise of every run ever made."""
    assert rng.keys(0, "bert", 0, u64(0, 1, 2**63)).tolist() == GOLDEN_KEYS["bert"]
    assert rng.keys(7, "t5", 3, u64(0, 41), np.array([0, 2])).tolist() == GOLDEN_KEYS["t5"]
    assert rng.keys(-1, "bart", 10**6, u64(2**64 - 1)).tolist() == GOLDEN_KEYS["bart"]
    assert [rng.word(name) for name in ("bert", "t5")] == GOLDEN_KEYS["words"]
    uses = [rng.SELECT, rng.RENDER, rng.REPLACE, rng.LENGTHS, rng.CUT, rng.KEEP, rng.PERMUTE, rng.ROTATE, rng.SPLIT, rng.INSERT,
            rng.ROLL, rng.COUNT, rng.FRAME]  # fmt: skip
    assert uses == list(range(1, 14)), "the number of a use is part of the noise"
    assert [int(rng.site(np.uint64(1), use)) for use in (1, 13)] == [mix(1 ^ SITE), mix(1 ^ (13 * SITE & MASK64))]




@pytest.mark.parametrize("case", [(0, "bert", 0, 0, 0), (5, "x", 2, 9, 3), (2**63, "t5", 1, 2**64 - 1, 1), (-3, "bart", 7, 12, 0)])
def test_keys_follow_the_reference(case):
    seed, name, epoch, index, number = case
    assert int(rng.keys(seed, name, epoch, u64(index), np.array([number]))[0]) == key(seed % 2**64, name, epoch, index, number)


PROBE = """
import hashlib, numpy as np, maskdial as md
from maskdial import rng
print(rng.keys(3, "bert", 1, np.arange(4, dtype=np.uint64)).tolist(), int(rng.draw(np.uint64(9), np.uint64(2))), rng.word("t5"))
vocab = md.Vocab(size=640, pad=0, bos=1, eos=2, cls=4, sep=5, mask=6, start=8, sentinels=range(639, 499, -1), languages={"en": 9},
                 modes={"R": 11, "S": 12, "X": 13}, fim={"prefix": 14, "middle": 15, "suffix": 16}, reserved=range(17, 100))
sizes = (160, 120)
rows = md.rows([range(100, 260), range(200, 320)], sentence=[[i % 20 == 0 for i in range(n)] for n in sizes],
               word=[[i % 3 == 0 for i in range(n)] for n in sizes], part=[[i > 50 for i in range(n)] for n in sizes], label=[0, 1])
for name in md.recipes():
    s = md.objective(name)(rows, vocab, seed=11, epoch=2)
    print(name, hashlib.sha256(s.read.tobytes() + s.target.tobytes() + s.order.tobytes()).hexdigest())
"""


def test_every_process_draws_the_same():
    """Whatever Python's own hashing does, and whether the kernels came from the cache or not."""
    said = []
    for seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, env=environment, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].count("\n") > 5
    assert len(set(said)) == 1


def streams(n):
    """Bits along every axis on which noise must not repeat itself."""
    index = np.arange(n, dtype=np.uint64)
    one = lambda seed, name, epoch: int(rng.keys(seed, name, epoch, u64(5))[0])  # noqa: E731
    some = n // 10
    return {
        "counter": many(rng.keys(0, "bert", 0, u64(0))[0], n),
        "counter of a small key": many(np.uint64(1), n),
        "index": rng.keys(0, "bert", 0, index),
        "late index": rng.keys(0, "bert", 0, index + np.uint64(2**40)),
        "document": rng.keys(0, "bert", 0, np.zeros(n, dtype=np.uint64), np.arange(1, n + 1)),
        "seed": u64(*(one(i, "bert", 0) for i in range(some))),
        "epoch": u64(*(one(0, "bert", i) for i in range(some))),
        "name": u64(*(one(0, f"member {i}", 0) for i in range(some))),
        "site": u64(*(int(rng.site(np.uint64(77), i)) for i in range(some))),
    }


@draws(40_000)
def test_bits_are_equally_spread(draws):
    for axis, bits in streams(draws).items():
        ones = [int(((bits >> np.uint64(b)) & np.uint64(1)).sum()) for b in range(64)]
        frequencies(ones, len(bits), 0.5, f"{axis}: bit ")
        uniform(np.bincount((bits >> np.uint64(56)).astype(int), minlength=256), f"{axis}: top byte")
        uniform(np.bincount((bits & np.uint64(255)).astype(int), minlength=256), f"{axis}: low byte")
        for n in (3, 7, 100):
            below = ((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)
            uniform(np.bincount(below.astype(int), minlength=n), f"{axis}: below {n}")
        nibble = (bits >> np.uint64(60)).astype(int)
        uniform(np.bincount(16 * nibble[:-1:2] + nibble[1::2], minlength=256), f"{axis}: neighbours")
        assert len(np.unique(bits)) == len(bits), "64 bits do not meet by chance in so few draws"


def test_below_is_in_range_and_reaches_both_ends():
    for n in (1, 2, 3, 1000, 2**31):
        ends = [int(rng.below(np.uint64(bits), n)) for bits in (0, 2**64 - 1)]
        assert ends == [0, n - 1]


def test_many_keys_at_once_draw_what_each_draws_alone():
    many_keys = rng.keys(0, "bert", 0, np.arange(100, dtype=np.uint64))
    found = rng.below_each(many_keys, rng.FRAME, 1, 37)
    sites = [mix(int(k) ^ (rng.FRAME * SITE & MASK64)) for k in many_keys]
    assert found.tolist() == [(mix((s + GOLDEN) & MASK64) >> 32) * 37 >> 32 for s in sites]
    assert [int(rng.site(k, rng.FRAME)) for k in many_keys] == sites


def test_thresholds_are_the_rate_to_32_bits():
    assert [int(rng.threshold(r)) for r in (0.0, 0.5, 1.0)] == [0, 2**31, 2**32]
    assert abs(int(rng.threshold(0.15)) / 2**32 - 0.15) < 2**-32


def flips(a, b):
    """How often each of the 64 bits differs."""
    return np.array([int((((a ^ b) >> np.uint64(i)) & np.uint64(1)).sum()) for i in range(64)])


@draws(10_000, 300_000)
def test_a_changed_bit_moves_every_other_with_one_half(draws):
    """Each input bit against each output bit, over numbers that scatter and numbers that count up from 0."""
    scattered = np.random.default_rng(0).integers(0, 2**64, draws, dtype=np.uint64)
    for bit in range(64):
        changed = scattered ^ np.uint64(1 << bit)
        frequencies(flips(rng._mix(scattered), rng._mix(changed)), draws, 0.5, f"bit {bit} → ")
    counted = np.arange(draws, dtype=np.uint64)
    for bit in range(0, 64, 7):
        moved = flips(rng.keys(0, "bert", 0, counted), rng.keys(0, "bert", 0, counted ^ np.uint64(1 << bit)))
        frequencies(moved, draws, 0.5, f"index bit {bit} → ")
    for other in (rng.keys(1, "bert", 0, counted), rng.keys(0, "bert", 1, counted), rng.keys(0, "bart", 0, counted)):
        frequencies(flips(rng.keys(0, "bert", 0, counted), other), draws, 0.5)
