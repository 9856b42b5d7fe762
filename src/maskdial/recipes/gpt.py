"""GPT: next-token prediction (Radford et al. 2018, *Improving Language Understanding by Generative Pre-Training*, §3.1).

Nothing is hidden in the text; the order hides what comes later. Position i reads token i and says token i + 1.

    text     transformer models learn patterns from large text corpora
    read     transformer models learn    patterns from  large text    corpora
    order    0           1      2        3        4     5     6       7
    target   models      learn  patterns from     large text  corpora ·

Documents joined in a row are framed by nothing but the end-of-document token between them, as in the released GPT-2; an
isolated document is opened by a begin token when the vocabulary has one, so that its first token is asked too.
"""

from maskdial.corruption.suffix import Keep
from maskdial.objective import Objective
from maskdial.recipes import recipe
from maskdial.target.following import Following


@recipe(
    family="decoder",
    formula="nothing hidden × causal × next token",
    corruption="nothing",
    target="the next token, everywhere",
    source="Radford et al. 2018, §3.1; Radford et al. 2019",
    url="https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf",
    good_for="continuing text; likelihoods; in-context learning",
    known_models=("GPT", "GPT-2", "GPT-3", "Llama"),
)
def gpt() -> Objective:
    """Causal language modelling: every token from all before it."""
    return Objective(
        name="gpt", steps=(Keep(),), visibility="causal", target=Following(), layout="decoder", head="open",
        shape=lambda length: (length, 0),
        scored_share=lambda length: (length - 1) / length,
    )  # fmt: skip
