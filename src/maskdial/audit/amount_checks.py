"""How much is read, and how much of it is asked."""

from __future__ import annotations

import numpy as np

from maskdial.audit.check import Found, check, fail, many, ok, skipped, warn
from maskdial.audit.outside import edges, text_tokens
from maskdial.audit.row import Evidence
from maskdial.interop.features import PART

#: a row of fewer tokens may well be asked nothing, or all of it
SHORT = 8
#: standard deviations that chance is granted
SIGMA = 4.0


@check("size", "An audit of few rows says little about the rest.")
def size(e: Evidence) -> Found:
    read, scored = sum(r.tokens for r in e.rows), sum(int(r.scored.sum()) for r in e.rows)
    return ok(f"{many(len(e.rows), 'row')}, {many(read, 'token')} read, {scored:,} scored")


@check("collator", "Training stops at the first row that cannot be made into a batch.")
def collator(e: Evidence) -> Found:
    if e.refused:
        return fail(f"the data stops after {many(e.refused[0][0], 'row')}: {e.refused[0][1]}")
    return skipped("no collator or loader made these rows") if e.ours else ok("every row came")


@check("left out", "Documents that preparing skipped are missing from every figure below, and from training.")
def left_out(e: Evidence) -> Found:
    if e.left_out is None:
        return skipped("the rows were not made from text here")
    return warn("; ".join(e.left_out)) if e.left_out else ok("nothing was left out when the text was prepared")


@check("scored share", "Only scored positions teach; the others cost time.")
def scored_share(e: Evidence) -> Found:
    if not e.labels:
        return skipped("the batches have no labels")
    shares = [r.scored.sum() / size for r in e.rows if (size := r.tokens if r.form != "answer" else len(r.target))]
    if not shares:
        return skipped("every row is empty")
    low, middle, mean, high = (f"{100 * v:.3g} %" for v in (min(shares), np.median(shares), np.mean(shares), max(shares)))
    return ok(f"of {'an answer' if e.form == 'answer' else 'a row'}, {low} … {high} is scored (median {middle}, mean {mean})")


@check("nothing scored", "Such a row is paid for and teaches nothing; a data set of them trains on no loss at all.")
def nothing_scored(e: Evidence) -> Found:
    if not e.labels:
        return skipped("the batches have no labels")
    silent = [r.number for r in e.rows if not r.scored.any()]
    if silent and len(silent) == len(e.rows):
        return fail("no position of any row is scored", silent)
    long = [r for r in e.rows if not r.scored.any() and text_tokens(r, e.vocab) > 1]
    if not long:
        return ok("every row has scored positions" if not silent else f"{many(len(silent), 'row')} of one token or none ask nothing")
    if e.made and e.form != "next" and len(silent) <= len(e.rows) / 2:
        return ok(f"{many(len(long), 'row')} without a question, as {e.name or 'the recipe'} draws them", silent)
    if e.form == "in place":  # a coin a token may pass a whole row over
        share = max(1e-9, sum(r.scored.sum() for r in e.rows) / max(1, sum(r.tokens for r in e.rows)))
        expected = sum((1 - min(1.0, share)) ** r.tokens for r in e.rows)
        if len(long) <= expected + SIGMA * expected**0.5 + 1:
            return ok(f"{many(len(long), 'short row')} without a question, no more than chance leaves ({expected:.1f})", silent)
    return warn(f"{len(silent)} of {many(len(e.rows), 'row')} without a scored position", silent)


@check("fully scored", "A prompt that is scored teaches to ask, and a masked model that is asked everything need only copy.")
def fully_scored(e: Evidence) -> Found:
    if not e.labels:
        return skipped("the batches have no labels")
    if e.form == "answer":
        return ok("the answer is scored, not the source")
    full = [r.number for r in e.rows if r.tokens >= SHORT and r.scored.sum() >= r.tokens - (e.form == "next")]
    asked = [r for r in e.rows if r.tokens >= SHORT]
    if e.form == "in place" and e.objective is None and full and len(full) > len(asked) / 2:
        return fail(f"{len(full)} of {many(len(e.rows), 'row')} scored at every position, though the tokens stand in place", full)
    prompted = sum(not r.scored[np.argmax(r.real)] for r in asked)
    if e.form == "next" and full and (prompted > len(asked) / 2 if e.objective is None else e.supervised):
        return warn(f"{len(full)} of {many(len(e.rows), 'row')} scored from the first token on, with no prompt left out", full)
    return ok(f"{many(len(full), 'row')} scored at every position" + (", as in pretraining" if full and e.form == "next" else ""))


@check("assistant mask", "A chat template without {% generation %} gives an assistant mask of zeros, and then nothing is learnt.")
def assistant_mask(e: Evidence) -> Found:
    found: list[tuple[int, bool]] = []
    for number, feature in enumerate(e.features):
        name = next((n for n in PART[:-1] if feature.get(n) is not None), None)
        if name is not None:
            found.append((number, bool(np.asarray(feature[name]).any())))
    if not found:
        return skipped("no feature with assistant_masks, completion_mask or part was given")
    silent = [number for number, any_ in found if not any_]
    if len(silent) == len(found):
        return fail(f"all {len(found)} masks of what the assistant says are zeros", silent)
    if silent:
        return warn(f"{len(silent)} of {len(found)} masks of what the assistant says are zeros", silent)
    return ok(f"all {len(found)} masks mark something")


@check("padding", "Padding costs as much as text and teaches nothing; where it is scored or looked at, it spoils what is learnt.")
def padding(e: Evidence) -> Found:
    if e.ours:
        return skipped("samples are padded when they become batches")
    pad = e.ids("pad") - e.ends - e.ids("bos", "cls")
    scored = [r.number for r in e.rows if _scored_padding(r.form, r.scored, r.target, r.real, pad)]
    if scored:
        return fail(f"{many(len(scored), 'row')} {'asks' if len(scored) == 1 else 'ask'} for padding", scored)
    edge = {r.number: edges(np.isin(r.read, list(pad))) for r in e.rows}
    seen = [r.number for r in e.rows if r.attends is not None and (edge[r.number] & r.attends).any()]
    if seen:
        return fail(f"in {many(len(seen), 'row')} the attention mask shows the padding", seen)
    bare = [r.number for r in e.rows if r.attends is None and r.sight is None and edge[r.number].any()]
    if bare and e.form != "next":
        return warn(f"there is padding in {many(len(bare), 'row')} and no attention mask", bare)
    held, width = sum(r.tokens for r in e.rows), sum(len(r.read) for r in e.rows)
    if not width:
        return skipped("every row is empty")
    share = 1 - held / width
    if share > 0.5:
        return warn(f"{100 * share:.0f} % of what is read is padding")
    unseen = " and unseen" if all(r.attends is not None for r in e.rows) else ""
    return ok(f"{100 * share:.3g} % of what is read is padding, unscored{unseen}" if share else "there is no padding")


def _scored_padding(form: str, scored: np.ndarray, target: np.ndarray, real: np.ndarray, pad: set[int]) -> bool:
    if form == "answer":
        return bool(np.isin(target, list(pad)).any())
    if form == "next":  # what must be said stands one place further on
        after = np.append(real[1:], True)
        return bool((scored & ~after & (np.isin(target, list(pad)) | ~real)).any())
    return bool((scored & ~real).any())
