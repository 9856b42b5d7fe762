"""One shard of a corpus: its tokenizer, and its documents as tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskdial.data.chat import halves, parts
from maskdial.data.document import Document, Tally
from maskdial.data.documents import Reader
from maskdial.data.languages import UNNAMED
from maskdial.data.options import Options, default_vocab_size
from maskdial.data.storage import LANGUAGE, Encoded, ShardWriter, prompt_of
from maskdial.data.survey import Inputs, Survey
from maskdial.data.template import PLAIN, find_template
from maskdial.data.tokenizer import Tokenizer, load, train
from maskdial.errors import UserError
from maskdial.progress import Mode, Progress


def make_tokenizer(options: Options, found: Survey, progress: Mode) -> tuple[Tokenizer, dict[str, int]]:
    """The tokenizer, and the special tokens that were added to one that was given.

    Languages that the text names get tokens in tokenizers made here; in one that was given only if it is to `grow` them.
    """
    spoken = found.languages if LANGUAGE in found.also else set()
    tokenizer, added = _tokenizer(options, found, progress)
    made = options.tokenizer in (None, "words", "bytes")
    new = tokenizer.speak(spoken, add=made or "languages" in options.grow)
    if options.template is not None:
        tokenizer.template = find_template(options.template)
    if found.conversations and tokenizer.template is None:
        tokenizer.template = PLAIN
    return tokenizer, added if made else added | new


def _tokenizer(options: Options, found: Survey, progress: Mode) -> tuple[Tokenizer, dict[str, int]]:
    if options.tokenizer is None:
        size = options.vocab_size or default_vocab_size(found.text_bytes)
        with Progress("tokenizer", None, "tokens", progress) as shown:
            shown.note(f"training byte-level BPE with {size:,} body tokens on {len(found.sample):,} documents")
            return train(found.sample, size), {}
    tokenizer = load(options.tokenizer, found.sample)
    wanted = [role for role in options.grow if role != "languages"]
    if tokenizer.vocab.eod is None and tokenizer.vocab.eos is None:
        wanted.append("eod")  # the stream needs an id between documents
    return tokenizer, tokenizer.grow(*wanted)


def encode_shard(inputs: Inputs, options: Options, found: Survey, tokenizer: Tokenizer, folder: Path, number: int, of: int,
                 progress: Mode = "off") -> dict[str, Any]:  # fmt: skip
    """Write shard `number` of `of` (every `of`-th document) into `folder`; returns its record. Depends on nothing else."""
    vocab, tally, counted = tokenizer.vocab, Tally(), Tally()
    eod = vocab.eod if vocab.eod is not None else vocab.eos
    if eod is None:
        raise ValueError("the tokenizer has no end-of-document token")
    dtype = "<u2" if vocab.size <= 1 << 16 else "<u4"
    reader = Reader(options.text_column, options.errors, tally)
    with (
        ShardWriter(folder, "train", number, eod, dtype, found.also) as kept,
        ShardWriter(folder, "held_out", number, eod, dtype, found.also) as held,
        Progress("encode", found.documents, "documents", progress) as shown,
    ):
        for place, document in enumerate(inputs.documents(reader)):
            shown.update()
            if place % of != number:
                continue
            for part, piece in found.split.parts(document):
                encoded = _encoded(piece, tokenizer, options.max_length, counted)
                if encoded is not None:
                    (kept if part == "train" else held).add(encoded)
    for name in Tally.ENCODED:
        setattr(tally, name, getattr(counted, name))
    return {"shards": [w.record() for w in (kept, held) if w.documents], "tally": tally.to_json(), "dtype": dtype}


def _encoded(document: Document, tokenizer: Tokenizer, max_length: int | None, tally: Tally) -> Encoded | None:
    """A document's tokens; None when it has none or is left out (which is counted)."""
    tally.spelled += tokenizer.spelled(document.text)
    language = document.language
    also = (len(document.text.encode()), document.label, document.title, language or UNNAMED)
    if not document.supervised:
        c = tokenizer.encode_columns(document.text, spans=False, language=language)
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
