"""Text to body tokens and back. A text that spells a special token stays text, whatever the tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskdial.data import languages, segmentation
from maskdial.data.body import SPACES, Body
from maskdial.data.making import byte_characters, make_bytes, make_words, train_bpe
from maskdial.data.pieces import LIMIT, pieces
from maskdial.data.specials import GROUPS, spelled
from maskdial.data.template import FILE as TEMPLATE
from maskdial.data.template import template_in
from maskdial.errors import UserError, nearest
from maskdial.vocab import SPELLINGS, Vocab

if TYPE_CHECKING:
    import tokenizers

FILE, NOTES = "tokenizer.json", "maskdial.json"
#: Characters around a piece of a huge text that decide where its words and sentences start.
CONTEXT = 2048
#: How a tokenizer marks words and sentences; recorded in a corpus's manifest.
RULES: dict[str, tuple[Callable[[str], segmentation.Starts], Callable[[str, str | None], segmentation.Starts]]] = {
    "unicode/sentencex": (segmentation.word_starts, segmentation.sentence_starts),
    "spaces/stops": (segmentation.space_word_starts, segmentation.stop_sentence_starts),
}


class Columns(NamedTuple):
    """A text's tokens: `ids` int32[N]; `word` and `sentence` uint8[N], 1 where a token starts one; `spans` int32[N, 2],
    the characters of the text that each token stands for (bytes of one character share its span)."""

    ids: NDArray[np.int32]
    word: NDArray[np.uint8]
    sentence: NDArray[np.uint8]
    spans: NDArray[np.int32]


class Piece(NamedTuple):
    """A bounded piece of a text: its first character, ids, spans within the piece, and `word` where that is known already."""

    first: int
    ids: NDArray[np.int32]
    spans: NDArray[np.int32]
    word: NDArray[np.uint8] | None


class Tokenizer:
    """A tokenizer as maskdial uses it: body tokens only, roles by name, words and sentences for any script.

    `looking` tokenizers (words, bytes) are for looking at samples, not for training. `vocab` gives the special ids, and its
    `codec` is this tokenizer. `template` is the chat template (Jinja) that came with it.
    """

    def __init__(
        self, engine: tokenizers.Tokenizer, name: str, *, rule: str = "unicode/sentencex", looking: bool = False,
        named: dict[str, str] | None = None, text: str | None = None, languages: dict[str, str] | None = None,
        template: str | None = None,
    ) -> None:  # fmt: skip
        engine.no_padding()
        engine.no_truncation()
        self.name, self.rule, self.looking, self.template = name, rule, looking, template
        #: what `save` writes; the file's own text when there is one, since scores don't survive being printed again
        self._text = text if text is not None else engine.to_str()
        self._engine, self._named, self._languages = engine, named or {}, languages or {}
        self._read()

    def _read(self) -> None:
        """Read the roles off the engine."""
        vocab = Vocab.from_tokenizer(self._engine)
        named: dict[str, Any] = {role: self._engine.token_to_id(spelling) for role, spelling in self._named.items()}
        vocab = replace(vocab, **{role: id for role, id in named.items() if id is not None})
        spoken = {name: id for name, s in self._languages.items() if (id := self._engine.token_to_id(s)) is not None}
        vocab = replace(vocab, languages=spoken)
        self.vocab = replace(vocab, word_start=self._word_starts(vocab), codec=self)
        #: finds the special tokens that a text spells
        self.spelt = spelled([s for id in self.vocab.special if (s := self._engine.id_to_token(id))])
        for derived in ("sha256", "_drop_space", "_body"):
            self.__dict__.pop(derived, None)

    @cached_property
    def _body(self) -> Body:
        """What encodes bodies, made when it is first needed: reading a corpus never does."""
        return Body(self._engine, self.vocab.special, self.vocab.unk, RULES[self.rule][0])

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, {self.vocab.size:,} ids, {len(self.vocab.special)} special)"

    @cached_property
    def sha256(self) -> str:
        """Digest of `tokenizer.json`, special tokens included."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @cached_property
    def _drop_space(self) -> bool:
        """Whether a text cut at a space must lose that space: true for tokenizers that begin every text with one."""
        encode = self._body.encode
        whole = encode("a b")[0].tolist()
        kept, dropped = ([*encode("a")[0], *encode(b)[0]] for b in (" b", "b"))
        return bool(whole == dropped and whole != kept)

    def _pieces(self, text: str) -> Iterator[Piece]:
        """A text in bounded pieces, each encoded."""
        for first, piece in pieces(text, LIMIT, len(text) > LIMIT and self._drop_space):
            end = first + len(piece)
            apart = (first == 0 or piece[0] in SPACES) and (end == len(text) or text[end] in SPACES)
            known = self._body.recall(piece) if apart else None
            yield Piece(first, *known) if known is not None else Piece(first, *self._body.encode(piece), None)

    def encode(self, text: str) -> list[int]:
        """Body ids: no special token is added, and none comes from the text, even where it spells one."""
        return [id for piece in self._pieces(text) for id in piece.ids.tolist()]

    def encode_columns(self, text: str, spans: bool = True, language: str | None = None) -> Columns:
        """Body ids with what a corpus stores beside them; the first token starts a word and a sentence.

        Without `spans` that column is empty, which saves most of the memory that a huge text takes. `language` (default: by
        script) decides how sentences end.
        """
        language = segmentation.language_rules(text, language)
        starts_of = RULES[self.rule]
        made: list[Columns] = []
        for first, ids, where, word in self._pieces(text):
            begin = max(0, first - CONTEXT)
            around = text[begin : first + LIMIT + CONTEXT]
            sentence = self._holders(starts_of[1](around, language), begin - first, where)
            if word is None:
                word = self._holders(starts_of[0](around), begin - first, where)
            made.append(Columns(ids, word, sentence, where + np.int32(first) if spans else where[:0]))
        if not made:
            none = np.zeros(0, dtype=np.uint8)
            return Columns(none.astype(np.int32), none, none, np.zeros((0, 2), dtype=np.int32))
        columns = made[0] if len(made) == 1 else Columns(*(np.concatenate(c) for c in zip(*made, strict=True)))
        columns.word[:1] = columns.sentence[:1] = 1
        return columns

    @staticmethod
    def _holders(starts: segmentation.Starts, shift: int, spans: NDArray[np.int32]) -> NDArray[np.uint8]:
        """The tokens of a piece that hold starts, which are counted from `shift` characters after (before: negative) its first."""
        starts = starts + shift
        return segmentation.holders(starts[starts >= 0], spans)

    def spelled(self, text: str) -> int:
        """How many places of the text spell a special token."""
        return sum(1 for _ in self.spelt.finditer(text))

    def id_of(self, spelling: str) -> int | None:
        """The id of a special token; None when nothing special is spelt so."""
        id = self._engine.token_to_id(spelling)
        return int(id) if id in self.vocab.special else None

    @property
    def spellings(self) -> dict[str, str]:
        """Special tokens by the names that chat templates know (`bos_token`, `eos_token`, …)."""
        roles = {role: getattr(self.vocab, role) for role in ("pad", "bos", "eos", "cls", "sep", "mask", "unk")}
        roles["eos"] = self.vocab.eod if roles["eos"] is None else roles["eos"]
        return {f"{role}_token": s for role, id in roles.items() if id is not None and (s := self._engine.id_to_token(id))}

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special tokens spelt out."""
        text: str = self._engine.decode([int(id) for id in ids], skip_special_tokens=False)
        return text

    @cached_property
    def _kind(self) -> str:
        """How the model's vocabulary spells text: `bytes`, `metaspace` or `plain`."""
        data = json.loads(self._engine.to_str())
        shape = json.dumps([data["decoder"], data["pre_tokenizer"], data["normalizer"]], ensure_ascii=False)
        return "bytes" if '"ByteLevel"' in shape else "metaspace" if "▁" in shape else "plain"

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        return {c: b for b, c in byte_characters().items()}

    def token(self, id: int) -> str:
        """How one token looks; spaces and line breaks as they are, bytes of an unfinished character as \\xNN."""
        text = self._engine.id_to_token(int(id))
        if text is None:
            return f"<{int(id)}>"
        if int(id) in self.vocab.special:
            return text
        if self._kind == "metaspace":
            return text.replace("▁", " ")
        if self._kind == "bytes" and all(c in self._byte_of for c in text):
            return bytes(self._byte_of[c] for c in text).decode("utf-8", "backslashreplace")
        return text

    def _word_starts(self, vocab: Vocab) -> NDArray[np.bool_]:
        """bool[size]: tokens that start a word as far as their spelling tells (`encode_columns` knows better)."""
        self.vocab = vocab
        self.__dict__.pop("_kind", None)
        shown = [self.token(id) for id in range(vocab.size)]
        whole = self.rule == "spaces/stops"
        return np.array([whole or not s or (not s.startswith("##") and (self._kind == "plain" or not s[0].isalnum())) for s in shown])

    def grow(self, *roles: str) -> dict[str, int]:
        """Add the special tokens of roles (`mask`, `pad`, …) or groups (`sentinels`, `modes`, `fim`) that are missing.

        New ids come after the last one, so a model needs as many more embedding rows. Returns spelling → id of what was
        added, for the caller to print. `ValueError` for an unknown role.
        """
        wanted: list[str] = []
        for role in roles:
            if role not in GROUPS:
                raise ValueError(f"no special token is called {role!r}: {nearest(role, GROUPS)}")
            if role in SPELLINGS and getattr(self.vocab, role) is not None:
                continue
            wanted += [s for s in GROUPS[role] if self._missing(role, s)]
        return self._add(wanted)

    def speak(self, names: Iterable[str], add: bool = False) -> dict[str, int]:
        """Give languages their ids in `vocab.languages`: special tokens that have no other role, in any published spelling.

        With `add`, those that are missing are added as in `grow`. Returns spelling → id of what was added.
        """
        wanted = sorted(set(names))
        v = self.vocab
        taken = {getattr(v, role) for role in SPELLINGS} | {*v.sentinels, *v.modes.values(), *v.fim.values()}
        found = languages.spelled(wanted, lambda s: self._engine.token_to_id(s) in v.reserved - taken)
        new = [languages.SPELLINGS[0].format(name) for name in wanted if name not in found] if add else []
        self._languages = found | languages.spelled(wanted, new.__contains__)
        added = self._add(new)
        self._read()
        return added

    def _add(self, spellings: list[str]) -> dict[str, int]:
        from tokenizers import AddedToken

        before = self._engine.get_vocab_size(with_added_tokens=True)
        if spellings:
            self._engine.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in spellings])
            self._text = self._engine.to_str()
            self._read()
        return {s: id for s in spellings if (id := self._engine.token_to_id(s)) is not None and id >= before}

    def _missing(self, role: str, spelling: str) -> bool:
        if role in ("modes", "fim"):
            known = len(getattr(self.vocab, role))
            return known < len(GROUPS[role]) and self._engine.token_to_id(spelling) is None
        return self._engine.token_to_id(spelling) is None

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json`, maskdial's notes and the chat template into a folder, which is made if it is not there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        notes = {"name": self.name, "rule": self.rule, "looking": self.looking, "roles": self._named, "languages": self._languages}
        (folder / FILE).write_bytes(self._text.encode())
        (folder / NOTES).write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if self.template is not None:
            (folder / TEMPLATE).write_bytes(self.template.encode())


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer with at most `vocab_size` body ids, trained on texts; special tokens come on top."""
    engine = train_bpe(texts, vocab_size)
    return Tokenizer(engine, f"bytebpe-{vocab_size}")


def load(name: str | Path, text: str | Iterable[str] | None = None) -> Tokenizer:
    """`words` (its vocabulary is the words of `text`), `bytes`, a `tokenizer.json`, or a folder that holds one.

    `UserError` (exit 2) for a path that is missing or holds no tokenizer.
    """
    if name == "bytes":
        return Tokenizer(make_bytes(), "bytes", looking=True)
    if name == "words":
        texts = [text] if isinstance(text, str) else text or []
        return Tokenizer(make_words(texts), "words", rule="spaces/stops", looking=True)
    return _load_file(Path(name).expanduser())


def _load_file(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer as Engine

    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        hint = f"a tokenizer is words, bytes, a {FILE} or a folder that holds one"
        if path.is_dir():
            hint = f"the folder has no {FILE}; with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
        raise UserError(f"there is no tokenizer at {path}", hint=hint, code="tokenizer.missing", where=str(path))
    try:
        text = file.read_bytes().decode("utf-8")
        engine = Engine.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{file} is no tokenizer: {error}", code="tokenizer.damaged", where=str(file)) from error
    notes = file.parent / NOTES
    if notes.is_file():
        kept = json.loads(notes.read_text(encoding="utf-8"))
        return Tokenizer(engine, kept["name"], rule=kept["rule"], looking=kept["looking"], named=kept["roles"], text=text,
                         languages=kept.get("languages"), template=template_in(file.parent))  # fmt: skip
    name = file.parent.resolve().name if file.name == FILE else file.stem
    return Tokenizer(engine, name or "tokenizer", named=_named_roles(file.parent), text=text, template=template_in(file.parent))


def _named_roles(folder: Path) -> dict[str, str]:
    """Roles that a Hugging Face folder spells its own way (`pad_token`, `mask_token`, …)."""
    named: dict[str, str] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / file
        settings: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for role in ("pad", "bos", "eos", "cls", "sep", "mask", "unk"):
            value = settings.get(f"{role}_token")
            spelling = value.get("content") if isinstance(value, dict) else value
            if isinstance(spelling, str):
                named[role] = spelling
    return named
