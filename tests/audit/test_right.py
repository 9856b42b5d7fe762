"""Data that is right raises no alarm, and what can't be read is said in a sentence."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

import maskdial as md
from tests.audit.test_others import HALF, IDS, PADDED, batch, masked, packed, texts, tokenized
from tests.interop.guests import VOCAB, fast

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("default")  # transformers' own deprecations are not ours
ASKED = np.where(HALF, PADDED, -100)
LEFT = slice(None), slice(None, None, -1)
SQUARE = np.tril(np.ones((24, 24), dtype=bool))[None, None]
TURNS = np.tile([*range(10, 21), VOCAB.eos], (4, 2))

RIGHT = {
    "numbers to add": batch(PADDED, ASKED, attention_mask=np.where(HALF, 0.0, -1e9)),
    "one mask for all positions": batch(PADDED, ASKED, attention_mask=np.where(HALF, 0.0, -1e9)[:, None, None]),
    "one mask for all rows": batch(IDS, IDS, attention_mask=SQUARE),
    "padding that is blind": batch(PADDED, ASKED, attention_mask=SQUARE & (HALF > 0)[:, None, None] & (HALF > 0)[:, None, :, None]),
    "padding at the left": batch(PADDED[LEFT], ASKED[LEFT], attention_mask=HALF[LEFT]),
    "padding at the left, no mask": batch(PADDED[LEFT], ASKED[LEFT]),
    "three positions a token": batch(IDS[:3], IDS[:3], position_ids=np.tile(np.arange(24), (3, 3, 1))),
    "turns": batch(TURNS, np.where(np.arange(24) % 12 < 5, -100, TURNS), attention_mask=np.ones((4, 24), dtype=int)),
    "numbered documents": batch(TURNS, TURNS, attention_mask=np.tile(np.arange(24) // 12 + 1, (4, 1))),
    "source and answer as long": batch(IDS, np.append(IDS[::-1, ::-1][:, 1:], np.full((4, 1), VOCAB.eos), axis=1)),
    "one row": batch(TURNS[:1, :12], TURNS[:1, :12]),
}  # fmt: skip


@pytest.mark.parametrize("vocab", [VOCAB, None])
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_raises_no_alarm(name, vocab):
    audit = md.audit([RIGHT[name]], vocab=vocab)
    if vocab is not None or "left" not in name or name.endswith("left"):  # nobody could know this padding
        assert audit.ok, str(audit)
    assert audit.form == ("answer" if "source" in name else "next")
    assert audit["blind rows"].level == ("ok" if "attention_mask" in RIGHT[name] else "skipped")


def test_a_translation_is_no_noise():
    tokenizer = fast("t5")
    pairs = [{"input_ids": tokenizer(a)["input_ids"], "labels": tokenizer(b)["input_ids"]}
             for a, b in zip(texts(), texts(seed=9), strict=True)]  # fmt: skip
    audit = md.audit((transformers.DataCollatorForSeq2Seq(tokenizer), pairs))
    assert audit.ok, str(audit)
    assert audit["noise across epochs"].level == "skipped"


def test_packed_rows_that_only_lack_a_label_at_their_borders_are_no_conversation():
    given = packed(mask=np.ones((4, 20), dtype=int))
    given["labels"][:, 11] = -100
    assert md.audit([given], vocab=VOCAB)["documents apart"].level == "warn"


def test_answers_without_an_end_are_found():
    rows = [[*range(8, 20 - i), *([] if i == 2 else [VOCAB.eos])] for i in range(4)]
    wide, asked = np.zeros((4, 13), dtype=int), np.full((4, 13), -100)
    for i, row in enumerate(rows):
        wide[i, : len(row)], asked[i, 4 : len(row)] = row, row[4:]
    found = md.audit([batch(wide, asked, attention_mask=wide > 0)], vocab=VOCAB)["end of sequence"]
    assert (found.level, found.rows) == ("warn", (2,))


def test_ids_that_the_vocabulary_does_not_name_are_not_judged():
    audit = md.audit([batch(np.where(ASKED % 5 == 0, 3, IDS), np.where(ASKED % 5 == 0, IDS, -100))], vocab=md.Vocab(size=96))
    for name in ("random replacements", "special tokens hidden", "mask, random, kept", "documents apart", "start"):
        assert "the vocabulary names no " in audit[name].say, name


@pytest.mark.parametrize("at", [0, 9])
def test_data_that_breaks_off_is_read_up_to_there(at):
    tokenizer, data = fast("bert"), tokenized(fast("bert"))

    def rows():
        yield from data[:at]
        raise ValueError("row is broken")

    class Stream(IterableDataset):
        def __iter__(self):
            return rows()

    loader = DataLoader(Stream(), batch_size=3, collate_fn=masked(tokenizer))
    if not at:  # nothing came at all
        with pytest.raises(md.UserError, match="no row came"):
            md.audit(loader)
    for source in (lambda: loader, (masked(tokenizer), rows()), *([loader, rows()] if at else [])):
        found = md.audit(source, tokenizer=tokenizer)["collator"]
        assert (found.level, found.say) == ("fail", f"the data stops after {at} rows: ValueError: row is broken")


def test_our_collator_reads_a_stream():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(tokenized(fast("bert")))

    assert md.audit(DataLoader(Stream(), batch_size=4, collate_fn=md.hf.Collator("bert", fast("bert")))).form == "in place"


@pytest.mark.parametrize("source", [
    {"input_ids": torch.zeros(2, 3, 4, dtype=torch.int64)}, {"input_ids": torch.zeros(2, 3)}, batch(IDS, IDS[:2]), batch(IDS[:0], IDS[:0]),
    (dict, {"input_ids": [[1]]}), lambda: [], lambda loader: loader, (masked(fast("bert")), []),
])  # fmt: skip
def test_what_can_not_be_read_says_what_to_give(source):
    with pytest.raises(md.UserError) as error:
        md.audit(source, vocab=VOCAB)
    assert error.value.hint


def test_rows_too_long_for_every_pair_are_not_looked_at():
    row = np.random.default_rng(0).integers(8, 59, 20_000).tolist()
    found = md.audit([{"input_ids": row}], "gpt", vocab=VOCAB, epochs=1)["sight leak"]
    assert (found.level, "fewer rows" in found.say) == ("skipped", True)


def test_a_rate_is_a_share():
    with pytest.raises(ValueError, match="from 0 to 1"):
        md.audit([batch(IDS, IDS)], vocab=VOCAB, rate=15)
