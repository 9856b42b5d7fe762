"""Several objectives as one: which member's turn it is, in which room, under which mode token.

    schedule    sample n → a member and a number among its own samples, without counting
    objective   `Mixture`: the interface of an objective
    table       rows taken apart by member, samples put back together
    make        `md.mixture`: weights, mode tokens, schedule → `Mixture`
"""

from maskdial.mixture.make import mixture, restore
from maskdial.mixture.objective import Member, Mixture

__all__ = ["Member", "Mixture", "mixture", "restore"]
