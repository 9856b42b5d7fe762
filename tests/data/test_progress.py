"""Progress: lines for a log, JSON for a program, a bar on a terminal; always on the stream that was given."""

import io
import json

import pytest

from maskdial import progress as module
from maskdial.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_come_every_ten_seconds_or_percent_whichever_is_later(clock):
    out = io.StringIO()
    with Progress("train", 1000, "steps", "plain", out) as p:
        for _ in range(100):  # a step a second: ten seconds are the later of the two
            clock[0] += 1
            p.update(loss=2.5)
        assert len(out.getvalue().splitlines()) == 10
        for _ in range(40):  # a step in ten seconds: ten steps are 1 %
            clock[0] += 10
            p.update()
    lines = out.getvalue().splitlines()
    assert len(lines) == 14
    assert lines[0] == "train: 10/1,000 steps  1/s  loss 2.5  16:30 left"
    assert "\r" not in out.getvalue()


def test_the_last_line_says_where_it_ended(clock):
    out = io.StringIO()
    with Progress("read", None, "documents", "plain", out) as p:
        clock[0] += 2
        p.update(1234)
        p.note("and a note")
    assert out.getvalue() == "read: and a note\nread: 1,234 documents  617/s\n"


def test_json_lines_are_events(clock):
    out = io.StringIO()
    with Progress("train", 20, "steps", "json", out) as p:
        for _ in range(20):
            clock[0] += 1
            p.update(loss=1.5)
        p.note("hello")
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [e["event"] for e in events] == ["start", "progress", "progress", "note", "end"]
    assert events[1]["done"] == 10
    assert events[1]["loss"] == 1.5
    assert events[-1]["ok"] is True
    with pytest.raises(KeyError), Progress("x", 1, "steps", "json", out):
        raise KeyError
    assert json.loads(out.getvalue().splitlines()[-1])["ok"] is False


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_auto_is_a_bar_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Progress("train", 10, "steps", stream=out) as p:
        assert p.mode == "bar"
        p.update(10, loss=2.0)
        p.note("[not] markup")
    assert "train" in out.getvalue()
    assert "10/10" in out.getvalue()
    assert "loss 2" in out.getvalue()
    assert "[not] markup" in out.getvalue()
    assert Progress("x", 1, "steps", stream=io.StringIO()).mode == "plain"


def test_off_says_nothing(capsys):
    with Progress("x", 1, "steps", "off") as p:
        p.update()
        p.note("x")
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ValueError, match="progress is"):
        Progress("x", 1, "steps", "loud")  # type: ignore[arg-type]
