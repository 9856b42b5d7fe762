"""Texts of words under a recipe with forced decisions, and samples spelled as words."""

import numpy as np

import maskdial as md
from maskdial.sample import SILENT
from maskdial.view import runs_of

SPECIAL = ["[PAD]", "<s>", "[E]", "<EOT>", "[MASK]", "[S]", "<PRE>", "<SUF>", "<MID>"]
WORDS = {word: id for id, word in enumerate(SPECIAL)}
VOCAB = md.Vocab(size=200, pad=0, bos=1, eos=2, eod=3, mask=4, start=5, fim={"prefix": 6, "suffix": 7, "middle": 8})
#: with a begin token, and without one
OPENED, CLOSED = VOCAB, md.Vocab(size=200, pad=0, eos=2, eod=3, mask=4, start=5, fim=VOCAB.fim)


def ids(text):
    return [WORDS.setdefault(word, len(WORDS)) for word in text.split()]


def words(found):
    spelled = {id: word for word, id in WORDS.items()} | {SILENT: "·"}
    return " ".join(spelled[i] for i in np.asarray(found).tolist())


def numbers(found):
    return " ".join(f"{x:g}" for x in np.asarray(found).tolist())


def build(name, text, force=None, hide=None, vocab=VOCAB, part=None, segment=None, seed=0, **options):
    """A text of words under a recipe with forced decisions; isolated where segments are given."""
    objective = md.objective(name, **options).replace(frame=segment is not None)
    rows = md.rows([ids(text)], part=part and [part], segment=segment and [segment], packing="isolated" if segment else "joined")
    force = dict(force or {})
    if hide is not None:
        [step] = [step for step in objective.steps if step.hides]
        force |= step.hold(rows, rows.units.lengths, [runs_of(hide)])
    return objective.build(rows, vocab, objective.draw(rows, vocab, seed=seed, force=force), provenance=True)[0]


def seen(one):
    return ["".join("1" if x else "." for x in row) for row in one.visible()]
