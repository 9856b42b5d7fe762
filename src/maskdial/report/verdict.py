"""What the numbers allow one to say: who leads, who ties, what is undecided. Every rule of wording lives here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from urllib.parse import quote

from maskdial.report.folder import Folder, Json
from maskdial.report.numbers import finite, listed, measured
from maskdial.report.probes import Probe, answers, asked, better

ONE_SEED = "One seed: differences between runs are not measured. Intervals cover the test items only."


@dataclass(frozen=True)
class Difference:
    """a − b on one probe, with its 95 % interval; `real` when it excludes zero after Holm correction."""

    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    real: bool


def ranked(folder: Folder, name: str) -> list[str]:
    """The objectives that answered a probe, best first; equal values in name order."""
    found, sign = answers(folder, name), 1 if better(folder, name) == "lower" else -1
    return sorted((o for o in found if finite(found[o]["value"])), key=lambda o: (sign * found[o]["value"], o))


def differences(folder: Folder, name: str) -> list[Difference]:
    """Each measured pair once, among the objectives that finished."""
    here = folder.finished
    pairs = folder.results.get("differences", {}).get(name, [])
    return [
        Difference(p["a"], p["b"], p["difference"], p.get("low"), p.get("high"), bool(p.get("real")))
        for p in pairs
        if p.get("a") in here and p.get("b") in here and finite(p.get("difference"))
    ]


def between(folder: Folder, name: str, a: str, b: str) -> Difference | None:
    """a − b, whichever way round it was stored."""
    for pair in differences(folder, name):
        if (pair.a, pair.b) == (a, b):
            return pair
        if (pair.a, pair.b) == (b, a):
            low, high = (None if v is None else -v for v in (pair.high, pair.low))
            return Difference(a, b, -pair.difference, low, high, pair.real)
    return None


def differ(folder: Folder, name: str, a: str, b: str) -> bool:
    """Whether a and b are really different; a pair that was not measured is not."""
    pair = between(folder, name, a, b)
    return pair is not None and pair.real


def leaders(folder: Folder, name: str) -> list[str]:
    """The best on a probe and everyone who can't be told from it, best first."""
    order = ranked(folder, name)
    return [o for o in order if o == order[0] or not differ(folder, name, order[0], o)]


def starred(folder: Folder, name: str) -> list[str]:
    """Who gets the star: the leaders, if there was anyone to lead and the best is clearly past its baseline."""
    order = ranked(folder, name)
    if len(order) < 2:
        return []
    best = answers(folder, name)[order[0]]
    return leaders(folder, name) if past_baseline(best) or not finite(best.get("baseline")) else []


def ties(folder: Folder, name: str, objective: str) -> list[str]:
    """Who can't be told from an objective on a probe."""
    return [o for o in ranked(folder, name) if o != objective and not differ(folder, name, o, objective)]


def past_baseline(found: Json) -> bool | None:
    """True: the interval lies beyond the baseline; False: it includes it, or is that of a bound, whose value may be better; None:
    worse than it, or nothing to compare with."""
    low, high, baseline = found.get("low"), found.get("high"), found.get("baseline")
    if not (finite(low) and finite(high) and finite(baseline)):
        return None
    if low <= baseline <= high:
        return False
    beyond: bool = high < baseline if found.get("better") == "lower" else low > baseline
    return True if beyond else False if found.get("bound") else None


def undecided_top(folder: Folder, name: str) -> int:
    """How many at the top have no decided order: the longest chain from the best in which neighbours don't differ."""
    order, count = ranked(folder, name), 1
    while count < len(order) and not differ(folder, name, order[count - 1], order[count]):
        count += 1
    return count if len(order) > 1 else 1


def counted(folder: Folder, names: list[str]) -> tuple[int, int]:
    """(real, all) pairwise differences over some probes."""
    pairs = [pair for name in names for pair in differences(folder, name)]
    return sum(pair.real for pair in pairs), len(pairs)


def sentence(folder: Folder, name: str) -> str:
    """The line under a probe's plot: how many differences are real and what stays open."""
    order = ranked(folder, name)
    real, pairs = counted(folder, [name])
    if len(order) < 2:
        return "Only one objective can answer this, so there is nothing to compare." if order else "No objective could answer this."
    if not pairs:
        return "No differences were measured between the objectives."
    verb = "difference excludes" if pairs == 1 else "differences exclude"
    return f"{real} of {pairs} {verb} zero after Holm correction; {_order(folder, name, order)}"


def _order(folder: Folder, name: str, order: list[str]) -> str:
    top = undecided_top(folder, name)
    if top == 1:
        return f"{order[0]} is ahead of {order[1]}." if len(order) == 2 else f"{order[0]} comes first."
    if top == 2 and len(order) > 2:
        return f"{order[0]} and {order[1]} can't be told apart."
    if top == len(order):
        return "neighbours in the order can't be told apart." if any(
            differ(folder, name, a, b) for a, b in combinations(order, 2)
        ) else "the order is not decided."  # fmt: skip
    return f"the order of the top {_word(top)} is not decided."


def _word(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[number] if number < len(words) else str(number)


# --- the answer in words -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number in a sentence together with the place in results.json it was read from, so that a reader or a test can check it."""

    text: str
    path: str


Words = list[str | Number]


def pointer(*keys: str) -> str:
    """A JSON pointer (RFC 6901) into results.json."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def place(*keys: str) -> str:
    """Where a number stands, as a link: the file and the pointer as its fragment (RFC 6901, section 6)."""
    return "results.json#" + quote(pointer(*keys), safe="/~")


def answer(folder: Folder) -> tuple[str, list[Words]]:
    """The headline and the sentences of the report's first paragraph."""
    led = [(p, leaders(folder, p.name)) for p in asked(folder) if _won(folder, p)]
    return _headline(folder, led), [*_leads(folder, led), *_reservations(folder)]


def _won(folder: Folder, asked_probe: Probe) -> bool:
    """A probe counts when at least two could answer it and the best is past its baseline."""
    order = ranked(folder, asked_probe.name)
    return len(order) > 1 and past_baseline(answers(folder, asked_probe.name)[order[0]]) is True


def _headline(folder: Folder, led: list[tuple[Probe, list[str]]]) -> str:
    if not led:
        return "No difference between the objectives is clear at this budget."
    asked_all = sum(len(ranked(folder, p.name)) > 1 for p in asked(folder)) == len(led)
    where = "at every probe here" if asked_all else "wherever a baseline was clearly passed"
    everywhere = [o for o in folder.finished if all(o in best for _, best in led)]
    alone = [o for o in everywhere if all(best == [o] for _, best in led)]
    if alone and len(led) > 1:
        return f"{alone[0]} is best {where}."
    if everywhere and len(led) > 1:
        return f"{listed(everywhere)} {'is' if len(everywhere) == 1 else 'are'} best, or tied for best, {where}."
    return "No objective is best at everything." if len(led) > 1 else "One probe tells the objectives apart."


def _leads(folder: Folder, led: list[tuple[Probe, list[str]]]) -> list[Words]:
    """One sentence a probe: who leads it, by which number, against which baseline."""
    said: list[Words] = []
    for asked_probe, best in led:
        if asked_probe.name == "bits_per_byte_documents" and any(p.name == "bits_per_byte" for p, _ in led):
            continue  # the same question read another way: the table shows both, a sentence for each would only repeat
        found = answers(folder, asked_probe.name)[best[0]]
        shown = best if len(best) <= 3 else [*best[:2], f"{_word(len(best) - 2)} more"]
        lead = f"{listed(shown)} {asked_probe.leads[0]}" if len(best) == 1 else f"{listed(shown)} {asked_probe.leads[1]}"
        tie = ", tied" if len(best) > 1 else ""
        said.append([f"{lead}{tie} (", *_value(best[0], asked_probe, found, len(best) > 1), ")."])
    return said


def _value(name: str, asked_probe: Probe, found: Json, several: bool) -> Words:
    at = ("objectives", name, "probes", asked_probe.name)
    words: Words = [
        (f"{name} " if several else "") + ("at most " if found.get("bound") else ""),
        Number(measured(found["value"]), pointer(*at, "value")),
        f" {asked_probe.unit}".rstrip(),
    ]
    if finite(found.get("baseline")):
        words += ["; baseline ", Number(measured(found["baseline"]), pointer(*at, "baseline"))]
    return words


def _reservations(folder: Folder) -> list[Words]:
    """What the reader must hold against the sentences before: pairs that are not decided, failures, baselines not passed."""
    said: list[Words] = []
    real, pairs = counted(folder, [p.name for p in asked(folder)])
    if pairs:
        said.append([
            "Of all ", Number(str(pairs), "count:differences"), " differences between two objectives, ",
            Number(str(real), "count:real"), f" {'excludes' if real == 1 else 'exclude'} zero after Holm correction.",
        ])  # fmt: skip
    level: dict[str, list[str]] = {}
    for p in asked(folder):
        for o, f in answers(folder, p.name).items():
            if past_baseline(f) is False:
                level.setdefault(o, []).append(p.label.lower())
    if level:
        said.append([f"No difference from the baseline was found for {'; '.join(f'{o} on {listed(on)}' for o, on in level.items())}."])
    failed = {o: str(found["failed"]) for o, found in folder.objectives.items() if found.get("failed")}
    said += [[f"{o} did not finish ({why})."] for o, why in failed.items()]
    return said
