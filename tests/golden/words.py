"""A vocabulary of whole words made from a text, and the worked examples read from the recipes' docstrings."""

import re
from importlib import import_module

import numpy as np

import maskdial as md
from maskdial.sample import SILENT
from maskdial.view import runs_of

ROLES = {"pad": "[PAD]", "bos": "<s>", "eos": "</s>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "start": "<start>"}
SENTINELS = [f"<extra_id_{k}>" for k in range(20)]


class Words:
    """Ids for the words of a text; special tokens come first, sentinels last and falling, as in T5."""

    def __init__(self, text, roles=tuple(ROLES)):
        body = list(dict.fromkeys(text.split()))
        self.spelling = [*(ROLES[role] for role in roles), *body, *reversed(SENTINELS)]
        self.id = {word: id for id, word in enumerate(self.spelling)}
        named = {role: self.id[ROLES[role]] for role in roles}
        self.vocab = md.Vocab(size=len(self.spelling), **named, sentinels=[self.id[s] for s in SENTINELS])
        self.text = text

    def rows(self):
        """The text as one row; a word after a full stop starts a sentence."""
        words = self.text.split()
        sentence = [int(i == 0 or words[i - 1] == ".") for i in range(len(words))]
        return md.rows([[self.id[w] for w in words]], sentence=[sentence], word=[[1] * len(words)])

    def spelled(self, ids):
        """Words of ids, `·` where nothing is asked."""
        return " ".join("·" if i == SILENT else self.spelling[i] for i in np.asarray(ids).tolist())

    def build(self, name, hide=None, force=None, frame=False, seed=0, **options):
        """The text under a recipe with forced decisions, as one sample with provenance."""
        objective = md.objective(name, **options).replace(frame=frame)
        rows, force = self.rows(), dict(force or {})
        if hide is not None:
            [step] = [step for step in objective.steps if step.hides]
            force |= step.hold(rows, rows.units.lengths, [runs_of(hide)])
        drawn = objective.draw(rows, self.vocab, seed=seed, force=force)
        return objective.build(rows, self.vocab, drawn, provenance=True)[0]

    def parts(self, one):
        """(source read, answer read, answer said) of a sample with an answer stream."""
        answer = one.stream == 1
        return self.spelled(one.read[~answer]), self.spelled(one.read[answer]), self.spelled(one.target[answer])


def worked(name):
    """The indented lines of a recipe's docstring, each parted where two spaces or more stand."""
    doc = import_module(f"maskdial.recipes.{name.replace('-', '_')}").__doc__
    lines = [line for line in doc.splitlines() if line.startswith("    ")]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def example(name):
    """Label → tokens of a worked example that is one token a column."""
    return {label: " ".join(" ".join(rest).split()) for label, *rest in worked(name)}
