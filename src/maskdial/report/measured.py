"""What a run says about one objective, as claims with their place in results.json."""

from __future__ import annotations

from statistics import median

from maskdial.report.folder import Folder, Json
from maskdial.report.numbers import duration, finite, interval, listed, measured, ordinal, short, stated, three
from maskdial.report.probes import answers, asked
from maskdial.report.verdict import past_baseline, place, ranked, ties

#: more objectives than this that can't be told apart are counted, not named
NAMED = 5


def _at(*keys: str) -> str:
    return place("objectives", *keys)


def behaviour(name: str, folder: Folder) -> list[Json]:
    """One claim a probe: value, interval and place; or "no difference found" when the interval includes the baseline."""
    claims = []
    for probe in asked(folder):
        found = answers(folder, probe.name).get(name)
        if found:
            text = f"{probe.label}: {_told(name, probe.name, found, folder)}"
            bounds = [found.get("low"), found.get("high")]
            claims.append({"text": text, "tag": "measured", "path": _at(name, "probes", probe.name), "interval": bounds})
    return claims


def _told(name: str, probe: str, found: Json, folder: Folder) -> str:
    value, bounds = stated(found), interval(found.get("low"), found.get("high"), found["value"])
    shown = f"{value} ({bounds})" if bounds else value
    baseline = measured(found.get("baseline"))
    if past_baseline(found) is False:
        return f"no difference found; {shown} includes the baseline, {baseline}."
    if finite(found.get("baseline")) and bounds and past_baseline(found) is None:
        return f"{shown}, worse than the baseline, {baseline}."
    order, equals = ranked(folder, probe), ties(folder, probe, name)
    place = f"{ordinal(order.index(name) + 1)} of {len(order)}" if len(order) > 1 else "the only one that can answer"
    others = f"{len(equals)} others" if len(equals) > NAMED else listed(equals)
    return f"{shown}, {place}{f', can’t be told from {others}' if equals else ''}."


def shortfalls(name: str, folder: Folder) -> list[Json]:
    """What it could not be asked, grouped by the reason, and where it did not pass the baseline."""
    reasons: dict[str, list[str]] = {}
    probes = folder.objectives[name].get("probes", {})
    for probe in asked(folder):
        why = (probes.get(probe.name) or {}).get("not_applicable")
        if why:
            reasons.setdefault(str(why), []).append(probe.name)
    labels = {p.name: p.label.lower() for p in asked(folder)}
    return [
        {
            "text": f"Can’t answer {listed([labels[p] for p in named])}: {why}.",
            "tag": "measured",
            "path": _at(name, "probes", named[0], "not_applicable"),
        }
        for why, named in reasons.items()
    ]


def cost(name: str, folder: Folder) -> list[Json]:
    """FLOPs against the middle of the field, scored share, speed and time."""
    result, claims = folder.objectives[name], []
    flops = [o["flops"] for o in folder.finished.values() if finite(o.get("flops"))]
    if flops and finite(result.get("flops")) and median(flops) > 0:
        text = f"{three(result['flops'] / median(flops))}× the FLOPs of the median objective ({short(result['flops'])})."
        claims.append({"text": text, "tag": "measured", "path": _at(name, "flops")})
    read, scored, seconds = result.get("text_tokens"), result.get("scored_tokens"), result.get("seconds")
    if finite(read) and finite(scored) and read:
        text = f"{measured(scored / read)} tokens scored for each token of text read ({short(scored)} of {short(read)})."
        claims.append({"text": text, "tag": "measured", "path": _at(name, "scored_tokens")})
    if finite(read) and finite(seconds) and seconds:
        text = f"{short(float(three(read / seconds).replace(',', '')))} tokens of text a second, for {duration(seconds)}."
        claims.append({"text": text, "tag": "measured", "path": _at(name, "seconds")})
    return claims
