"""Who may look at whom, objective by objective, as the papers say it: plain loops that know nothing of orders.

Each function returns a square list of lists of bools, `rows[q][k]`. A test compares them with what the order gives.
"""


def full(n):
    """Bidirectional: every position sees every position."""
    return [[True] * n for _ in range(n)]


def causal(n):
    """Position i sees 0 … i."""
    return [[k <= q for k in range(n)] for q in range(n)]


def prefix(given, n):
    """The first `given` positions are seen by all; the others by what comes after them (and by themselves)."""
    return [[k < given or k <= q for k in range(n)] for q in range(n)]


def blocks(size, n):
    """Blocks are read one after another, each both ways."""
    return [[k // size <= q // size for k in range(n)] for q in range(n)]


def permuted(rank):
    """Position q sees what comes no later than itself in the permuted order."""
    return [[rank[k] <= rank[q] for k in range(len(rank))] for q in range(len(rank))]


def two_streams(n, rank, functional=()):
    """XLNet (`data_utils.py`, `_local_perm`): n content positions, then one query slot a target, in the order of `rank`.

    `rank` maps a position that is predicted, or functional ([SEP], [CLS]), to its place in the permuted order; the other
    positions are visible to all. Keys are content positions; besides these, a query slot sees itself.
    """

    def rev(i):
        return rank.get(i, -1)

    def self_rank(i):
        return rev(i) if i in rank and i not in functional else rev(i) + 1

    def query_sees(i, j):
        return j not in rank or self_rank(i) > rev(j)

    targets = [i for i in rank if i not in functional]
    size = n + len(targets)
    rows = [[False] * size for _ in range(size)]
    for i in range(n):
        for j in range(n):
            rows[i][j] = query_sees(i, j) or i == j
    for slot, i in enumerate(targets):
        for j in range(n):
            rows[n + slot][j] = query_sees(i, j)
        rows[n + slot][n + slot] = True
    return rows


def noisy_and_clean(n, size):
    """Block diffusion (Arriola et al. 2025, §3.1): a noisy copy, then a clean one, in blocks of `size`.

    Noisy sees noisy of its own block and clean of earlier blocks; clean sees clean up to its own block.
    """
    rows = [[False] * (2 * n) for _ in range(2 * n)]
    for q in range(n):
        for k in range(n):
            rows[q][k] = q // size == k // size
            rows[q][n + k] = k // size < q // size
            rows[n + q][n + k] = k // size <= q // size
    return rows


def encoder_decoder(source, answer):
    """The source sees the source; the answer sees all of the source and the answer up to itself."""
    size = source + answer
    return [[k < source if q < source else k <= q for k in range(size)] for q in range(size)]


def own_answers(rows, origin, answers, reach=0):
    """Which positions see a token that holds the answer they must give; `reach` tokens further right count as seen."""
    found = []
    for q, answer in enumerate(answers):
        seen = [k for k in range(len(origin)) if rows[q][k] or q < k <= q + reach]
        found.append(answer >= 0 and any(origin[k] == answer for k in seen))
    return found


def drawn(rows):
    """Rows of 1 (seen) and . (not seen), one string a row."""
    return ["".join("1" if seen else "." for seen in row) for row in rows]
