"""One shard of a corpus: its tokenizer, and its documents as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskdial.data.chat import halves, parts
from maskdial.data.document import Document, Tally
from maskdial.data.documents import Walk, exactly
from maskdial.data.files import File
from maskdial.data.languages import UNNAMED
from maskdial.data.options import Options, default_vocab_size
from maskdial.data.plan import Plan
from maskdial.data.storage import LANGUAGE, Encoded, ShardWriter, prompt_of
from maskdial.data.survey import Said, Survey
from maskdial.data.template import PLAIN, find_template
from maskdial.data.tokenizer import Tokenizer, load, train
from maskdial.errors import UserError
from maskdial.progress import Mode, Progress


def make_tokenizer(options: Options, found: Survey, sample: Iterable[str], progress: Mode) -> tuple[Tokenizer, dict[str, int]]:
    """The tokenizer, and the special tokens that were added to one that was given. `sample`: texts to train one on.

    Languages that the text names get tokens in tokenizers made here; in one that was given only if it is to `grow` them.
    """
    spoken = found.languages if LANGUAGE in found.also else set()
    tokenizer, added = _tokenizer(options, found, sample, progress)
    made = options.tokenizer in (None, "words", "bytes")
    new = tokenizer.speak(spoken, add=made or "languages" in options.grow)
    if options.template is not None:
        tokenizer.template = find_template(options.template)
    if found.conversations and tokenizer.template is None:
        tokenizer.template = PLAIN
    return tokenizer, added if made else added | new


def _tokenizer(options: Options, found: Survey, sample: Iterable[str], progress: Mode) -> tuple[Tokenizer, dict[str, int]]:
    if options.tokenizer is None:
        size = options.vocab_size or default_vocab_size(found.text_bytes)
        with Progress("tokenizer", None, "documents", progress) as shown:
            shown.note(f"training byte-level BPE with {size:,} body tokens")
            return train(_counted(sample, shown), size), {}
    tokenizer = load(options.tokenizer, sample)
    wanted = [role for role in options.grow if role != "languages"]
    if tokenizer.vocab.eod is None and tokenizer.vocab.eos is None:
        wanted.append("eod")  # the stream needs an id between documents
    return tokenizer, tokenizer.grow(*wanted)


def _counted(texts: Iterable[str], shown: Progress) -> Iterator[str]:
    for text in texts:
        yield text
        shown.update()


def encode_unit(files: Sequence[File], options: Options, plan: Plan, tokenizer: Tokenizer, walk: Walk, folder: Path, number: int,
                said: Said) -> dict[str, Any]:  # fmt: skip
    """Write shard `number` of a plan into `folder`; returns its record. Depends on nothing else."""
    vocab, tally = tokenizer.vocab, Tally()
    eod = vocab.eod if vocab.eod is not None else vocab.eos
    if eod is None:
        raise ValueError("the tokenizer has no end-of-document token")
    with (
        ShardWriter(folder, "train", number, eod, plan.dtype, plan.also) as kept,
        ShardWriter(folder, "held_out", number, eod, plan.dtype, plan.also) as held,
    ):
        for piece in plan.units[number]:
            file = files[piece.file]
            found = exactly(piece.documents, walk.documents(file, piece.first, piece.stop), file)
            for document, out in zip(found, plan.left_out(piece), strict=True):
                said(1)
                for part, text in () if out else plan.split.parts(document):
                    encoded = _encoded(text, tokenizer, options.max_length, tally)
                    if encoded is not None:
                        (kept if part == "train" else held).add(encoded)
    return {"shards": [w.record() for w in (kept, held) if w.documents], "tally": {n: getattr(tally, n) for n in Tally.ENCODED}}


def _encoded(document: Document, tokenizer: Tokenizer, max_length: int | None, tally: Tally) -> Encoded | None:
    """A document's tokens; None when it has none or is left out (which is counted)."""
    tally.spelled += tokenizer.spelled(document.text)
    language = document.language
    also = (len(document.text.encode()), document.label, document.title, language or UNNAMED)
    if not document.supervised:
        c = tokenizer.encode_columns(document.text, spans=False, language=language)
        tally.changed += document.ids is not None and not np.array_equal(c.ids, document.ids)
        return Encoded(c.ids, c.word, c.sentence, *also) if len(c.ids) else None
    try:
        made = (
            parts(document.messages, tokenizer, language=language) if document.messages is not None
            else halves(document.text[: document.prompt], document.text[document.prompt :], tokenizer, language)
        )  # fmt: skip
    except UserError as error:
        where = f"{document.source}, {document.text[:60]!r} …"
        raise UserError(f"{where}: {error.message}", hint=error.hint, code=error.code, where=where) from error
    if not made.part.any():
        tally.silent += 1
        return None
    if max_length is not None and prompt_of(made.part) >= max_length:
        tally.long += 1
        return None
    tally.merged += made.merged
    c = made.columns
    return Encoded(c.ids, c.word, c.sentence, *also, made.part, made.ends)
