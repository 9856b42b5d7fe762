"""Which ids stand where: specials, sentinels, ids that no model has a row for, and whether the text can be had back."""

from __future__ import annotations

import numpy as np

from maskdial.audit.check import Found, check, fail, many, ok, skipped, unknown, warn
from maskdial.audit.row import Evidence, Row


@check("ids", "An id without an embedding row stops training, or reads what belongs to nothing.")
def ids(e: Evidence) -> Found:
    if e.vocab is None:
        return unknown(e, "size of a vocabulary")
    size = e.vocab.size
    beyond = [r.number for r in e.rows if _beyond(r.read, size) or _beyond(r.target[r.scored], size)]
    if beyond:
        ids = np.concatenate([part for r in e.rows for part in (r.read, r.target[r.scored])])
        return fail(f"ids outside 0 … {size - 1:,} in {many(len(beyond), 'row')} (from {ids.min():,} to {ids.max():,})", beyond)
    return ok(f"all ids lie in 0 … {size - 1:,}")


def _beyond(ids: np.ndarray, size: int) -> bool:
    return bool(len(ids)) and not 0 <= int(ids.min()) <= int(ids.max()) < size


@check("special tokens hidden", "A frame's tokens tell nothing about the text: hiding them teaches where rows begin.")
def specials_hidden(e: Evidence) -> Found:
    if e.form != "in place":
        return skipped("no token is hidden in place")
    if e.vocab is None or not e.ids("cls", "sep", "bos", "pad", "mask", "start"):
        return unknown(e, "token that frames a text")
    frame = list(e.ids("cls", "sep", "bos", "pad", "mask", "start") - (e.ends if e.vocab.sep not in e.ends or e.ours else e.ids("eod")))
    touched = {r.number: n for r in e.rows if (n := int((r.scored & np.isin(r.target, frame)).sum()))}
    if not touched:
        return ok("no special token is hidden or asked")
    say = f"{many(sum(touched.values()), 'special token')} hidden or asked, in {many(len(touched), 'row')}"
    if e.option("count") == "fairseq":
        return ok(f"{say}, as {e.name} chooses them")
    return fail(say, touched)


@check("random replacements", "A random token that is [PAD] or [SEP] is one that no text has at that place.")
def random_replacements(e: Evidence) -> Found:
    if e.form != "in place":
        return skipped("no token is replaced in place")
    if e.vocab is None or e.vocab.mask is None:
        return unknown(e, "[MASK] token")
    special = np.array(sorted(e.vocab.special - {e.vocab.mask}))
    total, found = 0, dict[int, int]()
    for r in e.rows:
        drawn = r.scored & (r.read != r.target) & (r.read != e.vocab.mask)
        total += int(drawn.sum())
        if count := int((drawn & np.isin(r.read, special)).sum()):
            found[r.number] = count
    if found and e.option("pool") not in ("vocabulary", "dictionary", "row"):
        return warn(f"special tokens make {sum(found.values())} of {many(total, 'random replacement')}", found)
    said = f"{sum(found.values())} special, as {e.name} draws them" if found else "none of them special"
    return ok(f"{many(total, 'random replacement')}, {said}")


@check("sentinels", "A sentinel out of order, or a span that no answer names, asks for text that cannot be known.")
def sentinels(e: Evidence) -> Found:
    if e.form != "answer":
        return skipped("there is no second stream")
    if e.vocab is None or not e.vocab.sentinels:
        return unknown(e, "sentinel")
    known = list(e.vocab.sentinels)
    used = {r.number: (_in(r.read, known), _in(r.target, known)) for r in e.rows}
    if not any(len(source) for source, _ in used.values()):
        return skipped("no row has a sentinel")
    disorder = [n for n, (source, _) in used.items() if source != known[: len(source)]]
    missing = [r.number for r in e.rows if used[r.number][0] and not _named(*used[r.number], int(r.target[r.scored][:1].sum()), known)]
    beyond = [r.number for r in e.rows if ((r.read >= e.vocab.size).any() or (r.target >= e.vocab.size).any())]
    for rows, what in ((beyond, "ids beyond the vocabulary"), (disorder, "sentinels out of order"),
                       (missing, "a sentinel of the source that the answer does not name in its turn")):  # fmt: skip
        if rows:
            return fail(f"in {many(len(rows), 'row')} {what}", rows)
    most = max(len(source) for source, _ in used.values())
    return ok(f"up to {many(most, 'sentinel')} a row, in order, each named by the answer")


def _in(ids: np.ndarray, known: list[int]) -> list[int]:
    return [int(id) for id in ids if int(id) in known]


def _named(source: list[int], answer: list[int], first: int, known: list[int]) -> bool:
    """Whether the answer names the source's sentinels in their order (a last one may close it). Where its first token is none,
    sentinels stand for what the source kept (released T5), which may be one less."""
    if first in known:
        return answer[: len(source)] == source
    return answer == known[: len(answer)] and len(answer) >= len(source) - 1


@check("round trip", "Text that neither what is read nor what is asked gives back was lost on the way.")
def round_trip(e: Evidence) -> Found:
    known = [r for r in e.rows if r.lost is not None]
    if not known:
        return _by_labels(e)
    lost = {r.number: r.lost for r in known if r.lost}
    if lost:
        return warn(f"{many(sum(n or 0 for n in lost.values()), 'token')} of {many(len(lost), 'row')} can't be had back", lost)
    say = f"all tokens of {many(len(known), 'row')} can be had back from what is read and asked"
    if e.changed is not None and e.changed[0]:
        return warn(f"{say}, but the tokenizer does not spell {e.changed[0]} of {many(e.changed[1], 'document')} as they were")
    return ok(say)


def _by_labels(e: Evidence) -> Found:
    """From outside: unknown tokens are text that is gone."""
    if e.vocab is None or e.vocab.unk is None or e.vocab.unk in e.ends:
        return skipped("the text before the batches is not known")
    unknown = {r.number: n for r in e.rows if (n := _unknown(r, e.vocab.unk))}
    total = sum(r.tokens for r in e.rows)
    if sum(unknown.values()) > 0.01 * total:
        return warn(f"{many(sum(unknown.values()), 'token')} of {total:,} are unknown to the tokenizer: their text is lost", unknown)
    return skipped("the text before the batches is not known")


def _unknown(r: Row, unk: int) -> int:
    return int((r.read[r.real] == unk).sum())
