"""Deshuffling (Raffel et al. 2020, §3.3.1, table 3; after Liu et al. 2019, *Summae*): the tokens come in any order.

All tokens are read in a uniformly random order and the answer is the text. With the order 4 7 0 9 2 5 8 1 6 3:

    text     Thank you for inviting me to your party last week
    source   me party Thank week for to last you your inviting
    answer   Thank you for inviting me to your party last week </s>
"""

from maskdial.corruption.permute import ShuffleTokens
from maskdial.objective import Objective
from maskdial.recipes import recipe
from maskdial.target.rewritten import WholeText


@recipe(
    family="seq2seq",
    formula="all tokens shuffled × encoder both ways, decoder causal × the whole text",
    corruption="the tokens in a uniformly random order",
    target="the whole text, then end of sequence",
    source="Raffel et al. 2020, §3.3.1, table 3",
    url="https://arxiv.org/abs/1910.10683",
    good_for="word order alone; the weakest of T5's objectives",
    known_models=("T5's ablations",),
)
def deshuffle() -> Objective:
    """Deshuffling: the text from its tokens."""
    return Objective(
        name="deshuffle", steps=(ShuffleTokens(),), visibility="prefix", target=WholeText(opens=None), layout="encoder-decoder",
        tail="eos", shape=lambda length: (length, length + 1), sees_own="copied",
    )  # fmt: skip
