"""Other people's collators and hand-made batches, from outside: each mistake is found, by its own check, and its absence is not."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import maskdial as md
from tests.interop.guests import VOCAB, WORDS, fast

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("default")  # transformers' own deprecations are not ours
LENGTHS = [60, 48, 55, 60, 41, 50, 60, 58] * 3


def texts(lengths=LENGTHS, seed=0):
    g = np.random.default_rng(seed)
    return [" ".join(g.choice(WORDS, n)) for n in lengths]


def tokenized(tokenizer, lengths=LENGTHS):
    return [{name: list(ids) for name, ids in tokenizer(text).items() if name != "token_type_ids"} for text in texts(lengths)]


def masked(tokenizer, **options):
    return transformers.DataCollatorForLanguageModeling(tokenizer, **options)


def batch(read, labels=None, **more):
    """Tensors of plain lists."""
    made = {"input_ids": read, **({} if labels is None else {"labels": labels}), **more}
    return {name: torch.as_tensor(np.array(value)) for name, value in made.items()}


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_seeded_collator_in_workers_repeats_its_noise_every_epoch(shuffle):
    tokenizer = fast("bert")
    data, g = tokenized(tokenizer), torch.Generator().manual_seed(0)
    loader = DataLoader(data, batch_size=4, shuffle=shuffle, num_workers=1, generator=g, collate_fn=masked(tokenizer, seed=3))
    found = md.audit(loader)["noise across epochs"]
    assert found.level == "fail"
    assert found.count > (4 if shuffle else 12), "batches of other lengths draw otherwise"
    fresh = DataLoader(data, batch_size=4, shuffle=shuffle, generator=g, collate_fn=masked(tokenizer))
    assert md.audit(fresh)["noise across epochs"].level == "ok"


def test_ranks_that_draw_alike_are_found():
    tokenizer = fast("bert")
    data = tokenized(tokenizer)

    def loader(rank, seed=3):
        return DataLoader(data[rank::2], batch_size=4, collate_fn=masked(tokenizer, seed=seed))

    assert md.audit(loader)["noise across workers"].level == "fail"
    assert md.audit(lambda rank: loader(rank, 3 + rank))["noise across workers"].level == "ok"
    undivided = md.audit(lambda rank: DataLoader(data, batch_size=4, collate_fn=masked(tokenizer, seed=rank)))
    assert undivided["noise across workers"].level == "warn"


def test_workers_that_draw_alike_are_found_within_a_pass():
    tokenizer, data = fast("bert"), tokenized(fast("bert"), [60] * 24)
    torch.manual_seed(0)
    one = [masked(tokenizer, seed=3)(data[i : i + 4]) for i in range(0, 24, 4)]  # a generator of its own, begun anew each time
    assert md.audit(one, tokenizer=tokenizer)["noise across workers"].level == "fail"
    collator = masked(tokenizer)
    assert md.audit([collator(data[i : i + 4]) for i in range(0, 24, 4)], tokenizer=tokenizer)["noise across workers"].level == "ok"


def test_specials_among_random_replacements_are_found():
    tokenizer = fast("bert")
    found = md.audit((masked(tokenizer), tokenized(tokenizer)), rows=64)["random replacements"]
    assert (found.level, found.count > 0) == ("warn", True)
    assert md.audit((md.hf.Collator("bert", tokenizer), tokenized(tokenizer)), rows=64)["random replacements"].level == "ok"


@pytest.mark.parametrize("share", [0.15, 0.3])
def test_the_rate_is_compared_with_what_was_asked_for(share):
    tokenizer = fast("bert")
    found = md.audit((masked(tokenizer, mlm_probability=share), tokenized(tokenizer, [60] * 48)), rate=0.15)["corruption rate"]
    assert found.level == ("ok" if share == 0.15 else "fail")


def test_an_end_that_is_padding_is_never_scored():
    tokenizer = fast("gpt2")
    tokenizer.pad_token = tokenizer.eos_token
    data = [{"input_ids": [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]} for text in texts([9, 7, 12, 9])]
    audit = md.audit((transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False), data))
    assert audit.form == "next"
    assert (audit["end of sequence"].level, audit["end of sequence"].count) == ("fail", 4)
    own = md.audit((md.hf.Collator("gpt", tokenizer), data))
    assert own["end of sequence"].level == "ok"
    assert "4 of 4 rows" in own["end of sequence"].say


def packed(positions=None, mask=None):
    """Two documents in each of four rows, with an end token after each."""
    g = np.random.default_rng(0)
    ids = [[*g.integers(8, 59, 10).tolist(), VOCAB.eos, *g.integers(8, 59, 8).tolist(), VOCAB.eos] for _ in range(4)]
    more = {} if positions is None else {"position_ids": [[*range(11), *range(9)]] * 4}
    return batch(ids, ids, **more, **({} if mask is None else {"attention_mask": mask}))


def test_documents_that_see_each_other_are_found():
    ones = np.ones((4, 20), dtype=int)
    level = {
        name: md.audit([given], vocab=VOCAB)["documents apart"].level
        for name, given in {
            "no reset": packed(mask=ones), "reset under ones": packed(True, ones), "reset": packed(True),
            "one": batch([[8, 9, 10, VOCAB.eos]], [[8, 9, 10, VOCAB.eos]], attention_mask=[[1, 1, 1, 1]]),
        }.items()
    }  # fmt: skip
    assert level == {"no reset": "warn", "reset under ones": "fail", "reset": "ok", "one": "ok"}
    causal = np.tril(np.ones((20, 20), dtype=bool))
    apart = causal & (np.arange(20)[:, None] // 11 == np.arange(20)[None] // 11)
    for seen, wanted in ((causal, "fail"), (apart, "ok")):
        mask = np.broadcast_to(seen, (4, 1, 20, 20))
        assert md.audit([packed(True, mask)], vocab=VOCAB)["documents apart"].level == wanted


def test_flattened_features_keep_documents_apart_until_a_mask_is_added():
    collate, data = transformers.DataCollatorWithFlattening(), [{"input_ids": list(range(8, 20))}, {"input_ids": list(range(20, 30))}]
    assert md.audit((collate, data), vocab=VOCAB)["documents apart"].level == "ok"
    with_mask = collate(data) | {"attention_mask": torch.ones(1, 22, dtype=torch.int64)}
    assert md.audit([with_mask], vocab=VOCAB)["documents apart"].level == "fail"


@pytest.mark.parametrize("form", ["hand-made", "right", "pair"])
def test_labels_that_were_shifted_already_are_found(form):
    ids = np.random.default_rng(0).integers(8, 59, (4, 30))
    ahead = np.append(ids[:, 1:], np.full((4, 1), -100), axis=1)
    given = {"hand-made": batch(ids, ahead), "right": batch(ids, ids), "pair": (torch.as_tensor(ids), torch.as_tensor(ahead))}[form]
    audit = md.audit([given], vocab=VOCAB)
    assert audit.form == "next"
    assert audit["shifted labels"].level == ("fail" if form == "hand-made" else "ok")
    assert md.audit([batch(ids, ahead)], vocab=VOCAB, labels="in_place")["shifted labels"].level == "ok"


def test_a_template_without_generation_marks_is_found():
    tokenizer = fast("bert")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    talk = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat on the mat"}]
    made = tokenizer.apply_chat_template(talk, return_assistant_tokens_mask=True, return_dict=True, tokenize=True)
    data = [dict(made)] * 3
    assert "assistant_masks" in data[0]
    audit = md.audit(data, tokenizer=tokenizer)
    assert audit.objective == "sft"
    assert audit["assistant mask"].level == audit["nothing scored"].level == "fail"
    half = [{**data[0], "assistant_masks": [0, 0, *[1] * (len(made["input_ids"]) - 2)]}, *data[1:]]
    found = md.audit(half, tokenizer=tokenizer)["assistant mask"]
    assert (found.level, found.count) == ("warn", 2)
    refused = md.audit((md.hf.Collator("sft", tokenizer), data))
    assert refused["collator"].level == "fail"
    assert "assistant" in refused["collator"].say


IDS = np.random.default_rng(1).integers(8, 59, (4, 24))
LAST = np.append(IDS[:, :-1], np.full((4, 1), VOCAB.eos), axis=1)
PADDED = np.append(IDS[:, :16], np.zeros((4, 8), dtype=int), axis=1)
SEES = np.ones((4, 24), dtype=int)
HALF = np.append(SEES[:, :16], np.zeros((4, 8), dtype=int), axis=1)
PROMPTED = np.where(np.arange(24) < 8, -100, IDS)
BLIND = np.tril(np.ones((24, 24), dtype=int)) * (np.arange(24)[:, None] != 3)
HIDDEN = np.where(np.arange(24) % 6 == 2, VOCAB.mask, IDS)
ASKED = np.where(np.arange(24) % 6 == 2, IDS, -100)


def sentinels(source, answer):
    """Source and answer are as long here, which must not make them one stream."""
    return batch([[8, 9, source[0], 12, 13, source[1], 15]] * 2, [[answer[0], 10, 11, answer[1], 14, 93, VOCAB.eos]] * 2)


WRONG = {
    "sight leak: both ways": ("sight leak", "fail", batch(IDS, IDS, attention_mask=np.ones((4, 1, 24, 24)))),
    "sight leak: numbers": ("sight leak", "fail", batch(IDS, IDS, attention_mask=np.zeros((4, 1, 24, 24), dtype=np.float32))),
    "sight leak: decoder": ("sight leak", "fail", batch(IDS, IDS[:, :9], decoder_input_ids=IDS[:, :9])),
    "blind": ("blind rows", "fail", batch(IDS, IDS, attention_mask=np.broadcast_to(BLIND, (4, 24, 24)))),
    "nobody": ("blind rows", "fail", batch(IDS, IDS, attention_mask=SEES * (np.arange(4)[:, None] > 0))),
    "doubled": ("start", "fail", batch(np.append([[1, 1]] * 4, IDS, axis=1), np.append([[1, 1]] * 4, IDS, axis=1))),
    "nothing": ("nothing scored", "fail", batch(IDS, IDS * 0 - 100)),
    "one row": ("nothing scored", "warn", batch(IDS, np.where(np.arange(4)[:, None] == 2, -100, IDS))),
    "all of it": ("fully scored", "fail", batch(np.where(np.arange(24) % 3 == 2, VOCAB.mask, IDS), IDS)),
    "no prompt": ("fully scored", "warn", batch(IDS, np.where(np.arange(4)[:, None] == 2, IDS, PROMPTED))),
    "padding asked": ("padding", "fail", batch(PADDED, PADDED, attention_mask=HALF)),
    "padding seen": ("padding", "fail", batch(PADDED, np.where(HALF, PADDED, -100), attention_mask=SEES)),
    "padding in answers": ("padding", "fail", batch(IDS, PADDED[:, 10:20])),
    "mostly padding": ("padding", "warn", batch(np.pad(PADDED, ((0, 0), (0, 40))), np.pad(np.where(HALF, PADDED, -100), ((0, 0), (0, 40)),
                       constant_values=-100), attention_mask=np.pad(HALF, ((0, 0), (0, 40))))),
    "beyond": ("ids", "fail", batch(IDS + 60, IDS + 60)),
    "special hidden": ("special tokens hidden", "fail", batch(HIDDEN, np.where(np.arange(24) == 2, VOCAB.cls, ASKED))),
    "no [MASK]": ("mask, random, kept", "warn", batch(np.where(np.arange(24) % 6 == 2, 9, IDS), ASKED)),
    "all kept": ("sight leak", "fail", batch(np.where(np.arange(24) == 2, VOCAB.mask, IDS), np.where(np.arange(24) % 4 == 2, IDS, -100))),
    "no end": ("end of sequence", "warn", batch(IDS, PROMPTED)),
    "order": ("sentinels", "fail", sentinels([94, 95], [94, 95])),
    "unnamed": ("sentinels", "fail", sentinels([95, 94], [95, 20])),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_and_what_is_right_is_not(name):
    check, level, given = WRONG[name]
    found = md.audit([given], vocab=VOCAB)[check]
    assert found.level == level
    assert found.count == len(found.rows) > 0 or check in ("mask, random, kept",) or "mostly" in name
    right = [batch(LAST, LAST, attention_mask=SEES), batch(HIDDEN, ASKED), sentinels([95, 94], [95, 94])]
    for clean in right:
        assert md.audit([clean], vocab=VOCAB)[check].level in ("ok", "skipped"), clean


def test_an_answer_cut_at_the_longest_length_is_found():
    rows = [[*range(8, 20), VOCAB.eos], [*range(10, 31)], [*range(9, 15), VOCAB.eos]]
    wide = [row + [0] * (21 - len(row)) for row in rows]
    labels = [[-100] * 4 + row[4:] + [-100] * (21 - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (21 - len(row)) for row in rows]
    found = md.audit([batch(wide, labels, attention_mask=mask)], vocab=VOCAB)["truncated answers"]
    assert (found.level, found.rows) == ("warn", (1,))


def test_what_cannot_be_checked_says_so():
    audit = md.audit(iter([batch(HIDDEN, ASKED)]))
    for name in ("ids", "start", "special tokens hidden", "sentinels", "noise across epochs", "round trip", "assistant mask"):
        assert audit[name].level == "skipped", name
        assert audit[name].say.startswith("not checked: "), name
    assert md.audit([batch(IDS)], vocab=VOCAB)["nothing scored"].level == "skipped"


def test_static_noise_in_a_data_set_is_found():
    data = [{"input_ids": row.tolist(), "labels": asked.tolist()} for row, asked in zip(HIDDEN, ASKED, strict=True)]

    class Stored(torch.utils.data.Dataset):
        def __len__(self):
            return len(data)

        def __getitem__(self, i):
            return data[i]

    assert md.audit(Stored(), vocab=VOCAB)["noise across epochs"].level == "fail"
    assert md.audit(data, vocab=VOCAB)["noise across epochs"].level == "skipped", "a list of batches is no data set to read again"


@pytest.mark.parametrize(("source", "code"), [({"train": []}, "audit.source"), ([], "audit.empty"), ([3], "audit.batch"),
                                              ([{"labels": [1]}], "audit.batch"), (3, "audit.source")])  # fmt: skip
def test_what_is_no_data_is_refused(source, code):
    with pytest.raises(md.UserError) as error:
        md.audit(source, vocab=VOCAB)
    assert error.value.code == code


@pytest.mark.parametrize("seed", range(40))
def test_no_batch_of_a_known_shape_stops_an_audit(seed):
    """Whatever ids, labels and masks hold, each check ends with a sentence."""
    g = np.random.default_rng(seed)
    rows, size, answer = int(g.integers(1, 4)), int(g.integers(0, 12)), int(g.integers(0, 9))
    ids = g.integers(-2, 110, (rows, size))
    parts = {
        "labels": [None, ids, np.where(g.random((rows, size)) < 0.5, -100, ids), np.full((rows, size), -100),
                   g.integers(0, 96, (rows, answer))],
        "attention_mask": [None, g.integers(0, 2, (rows, size)), g.random((rows, size, size)) < 0.5,
                           np.where(g.random((rows, 1, size, size)) < 0.5, 0.0, -1e9)],
        "position_ids": [None, np.tile(np.arange(size) % 5, (rows, 1))],
        "decoder_input_ids": [None, None, g.integers(0, 96, (rows, answer))],
    }  # fmt: skip
    chosen = {name: values[int(g.integers(len(values)))] for name, values in parts.items()}
    if chosen["decoder_input_ids"] is not None:
        chosen["labels"] = g.integers(0, 96, (rows, answer))
    given = batch(ids, **{name: value for name, value in chosen.items() if value is not None})
    audit = md.audit([given] * 2, vocab=VOCAB if seed % 3 else None, objective=[None, "bert", "sft", "t5"][seed % 4])
    assert all(one.say for one in audit.findings)
    assert str(audit)
    assert audit._repr_html_()
