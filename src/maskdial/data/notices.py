"""What happened to a text while it was prepared that its owner may not expect."""

from __future__ import annotations

from typing import Any

#: what is not in the corpus, by the key of a record's `tally`
LEFT_OUT = {
    "empty": "blank documents were skipped",
    "malformed": "records were not what their file promises and were skipped",
    "dropped": "documents held bytes that are not UTF-8 and were left out",
    "unanswered": "supervised records have no completion and were left out",
    "silent": "supervised records have a completion that the tokenizer has no token for, and were left out",
    "long": "supervised records have a prompt that fills --max-length, and were left out",
}
#: what is in it in another form than it came
CHANGED = {
    "replaced": "documents held bytes that are not UTF-8, which became U+FFFD",
    "spelled": "places spell a special token and were encoded as plain text",
    "changed": "documents were read as token ids, and the tokenizer gives their text others",
    "merged": "supervised records have a token across the border of prompt and completion, and were encoded in two pieces",
}
SAME = "documents have the same text as one before them"


def left_out(record: dict[str, Any]) -> list[str]:
    """A sentence for each reason, from a corpus's manifest or a shard's record."""
    dropped = {"duplicates": f"{SAME} and were left out"} if record["options"].get("duplicates") == "drop" else {}
    return counted(record, LEFT_OUT | dropped)


def notices(record: dict[str, Any]) -> list[str]:
    """These, and what was changed, added or is lacking."""
    repeated = {} if record["options"].get("duplicates") == "drop" else {"duplicates": f"{SAME} (--duplicates drop leaves them out)"}
    found = left_out(record) + counted(record, CHANGED | repeated)
    added = record["tokenizer"]["added"]
    if added:
        listed = ", ".join(f"{s} = {id}" for s, id in list(added.items())[:4]) + (" …" if len(added) > 4 else "")
        found.append(f"{len(added)} special tokens were added to the tokenizer ({listed}): a model needs as many more embedding rows")
    lacking = sorted({n for s in record["shards"] for n in s.get("languages", ())} - set(record["tokenizer"]["reserved"]["languages"]))
    if lacking:
        found.append(f"the tokenizer has no token for the language {', '.join(lacking)}: rows will not tell languages (--add languages)")
    return found


def counted(record: dict[str, Any], said: dict[str, str]) -> list[str]:
    return [f"{record['tally'][key]:,} {what}" for key, what in said.items() if record["tally"].get(key)]
