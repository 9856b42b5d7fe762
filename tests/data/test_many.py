"""Many processes and many machines: whatever their number, and whenever they are killed, the corpus is the same to the byte."""

import json
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from maskdial.data import Corpus, merge, prepare, survey, verify
from maskdial.data import work as working
from maskdial.data.build import prepare_shard
from maskdial.data.options import Options
from maskdial.errors import UserError

from .conftest import write_jsonl

OPTIONS = Options(vocab_size=400, held_out=0.2)


@pytest.fixture(scope="module")
def sources(tmp_path_factory, records):
    """Text in three files of different formats, one of them packed, with some documents there twice."""
    import gzip

    home = tmp_path_factory.mktemp("many")
    write_jsonl(home / "a.jsonl", [*records[:100], *records[:30]])
    (home / "b.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records[100:200]).encode()))
    (home / "c.txt").write_text("\n\n".join(r["text"] for r in records[200:]))
    return [str(home / name) for name in ("a.jsonl", "b.jsonl.gz", "c.txt")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sources):
    """What one process makes: about ten shards."""
    out = tmp_path_factory.mktemp("whole") / "c"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "UNIT", 8192)
        corpus = prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, progress="off")
    assert len(corpus.train.shards) > 8
    return corpus


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_makes_the_same_bytes(whole, sources, tmp_path, small_shards, folder_of, workers):
    before = set(psutil.Process().children())  # other tests' own, such as multiprocessing's resource tracker
    made = prepare(sources, tmp_path / "c", vocab_size=400, held_out=0.2, workers=workers, progress="off")
    assert folder_of(made.folder) == folder_of(whole.folder)
    assert verify(made.folder) == []
    assert set(psutil.Process().children()) <= before, "workers end with the work"


def test_shards_hold_the_documents_in_their_order(whole, sources, tmp_path):
    one = prepare(sources, tmp_path / "c", vocab_size=400, held_out=0.2, workers=1, progress="off")
    for mine, other in ((whole.train, one.train), (whole.held_out, one.held_out)):
        assert (len(mine.shards) > 5, len(other.shards)) == (True, 1)
        assert [mine.document(i).tolist() for i in range(len(mine))] == [other.document(i).tolist() for i in range(len(other))]
        assert [(mine.label(i), mine.title(i)) for i in range(len(mine))] == [(other.label(i), other.title(i)) for i in range(len(other))]
    rows, others = (c.rows(64, 0, 200, seed=1) for c in (whole, one))
    assert rows.tokens.tolist() == others.tokens.tolist(), "so training reads the same"
    assert whole.manifest["tally"] == one.manifest["tally"]


def test_machines_make_together_what_one_makes(whole, sources, tmp_path, small_shards, folder_of):
    out = tmp_path / "c"
    for number in (2, 0):
        prepare_shard(sources, out, OPTIONS, number, 3, workers=1, progress="off")
        with pytest.raises(UserError, match="no prepared corpus"):
            Corpus.open(out)
        with pytest.raises(UserError, match="lacks shard 0/3, 1/3" if number else "lacks shard 1/3$") as caught:
            merge(out)
        assert caught.value.exit == 4
        assert "--shard" in caught.value.hint
    prepare_shard(sources, out, OPTIONS, 1, 3, workers=1, progress="off")
    assert folder_of(merge(out).folder) == folder_of(whole.folder)


def test_there_may_be_more_machines_than_shards(whole, sources, tmp_path, small_shards, folder_of):
    out = tmp_path / "c"
    prepare_shard(sources, out, OPTIONS, 0, 40, workers=1, progress="off")
    with pytest.raises(UserError, match="no shards"):
        merge(out)
    for number in range(1, 40):
        prepare_shard(sources, out, OPTIONS, number, 40, workers=1, progress="off")
    assert folder_of(merge(out).folder) == folder_of(whole.folder)


def test_machines_need_not_share_a_disk(whole, sources, tmp_path, small_shards, folder_of):
    out = tmp_path / "c"
    for number in range(2):
        prepare_shard(sources, tmp_path / str(number), OPTIONS, number, 2, workers=1, progress="off")
        shutil.copytree(tmp_path / str(number), out, dirs_exist_ok=True)
    assert folder_of(merge(out).folder) == folder_of(whole.folder)


def test_a_shard_that_did_not_arrive_whole_is_named(whole, sources, tmp_path, small_shards, folder_of):
    out = tmp_path / "c"
    for number in range(2):
        prepare_shard(sources, out, OPTIONS, number, 2, workers=1, progress="off")
    (out / "shard-00002.idx").write_bytes(b"")
    (out / "shard-00008.bin").unlink()
    with pytest.raises(UserError, match="lacks shard 0/2, 1/2"):
        merge(out)
    for number in range(2):
        prepare_shard(sources, out, OPTIONS, number, 2, workers=1, progress="off")
    assert folder_of(merge(out).folder) == folder_of(whole.folder)


def test_what_does_not_belong_together_is_refused_and_named(sources, tmp_path, small_shards):
    """Shards made apart and brought together, of other text, options or tokenizer."""
    changed = tmp_path / "a.jsonl"
    changed.write_text('{"text": "more of it"}\n')
    others = {"text": ([*sources, str(changed)], OPTIONS), "options": (sources, Options(vocab_size=400, held_out=0.1))}
    for name, (text, options) in others.items():
        out = tmp_path / name
        prepare_shard(text, out, options, 0, 2, workers=1, progress="off")
        prepare_shard(sources, tmp_path / f"{name}-1", OPTIONS, 1, 2, workers=1, progress="off")
        shutil.copytree(tmp_path / f"{name}-1", out, dirs_exist_ok=True)
        with pytest.raises(UserError, match=rf"shard-00000\.json was not made from the same {name}") as caught:
            merge(out)
        assert caught.value.exit == 4
    record = json.loads((tmp_path / "text-1" / "shard-00008.json").read_text())
    record["made_from"]["tokenizer"] = "another"
    (tmp_path / "text-1" / "shard-00008.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="same tokenizer"):
        merge(tmp_path / "text-1")
    (tmp_path / "text-1" / "plan.json").unlink()
    with pytest.raises(UserError, match="plan"):
        merge(tmp_path / "text-1")


def test_unfinished_shards_are_not_replaced_unasked(sources, tmp_path, small_shards):
    prepare_shard(sources, tmp_path / "c", OPTIONS, 0, 2, workers=1, progress="off")
    other = Options(vocab_size=400, held_out=0.1)
    with pytest.raises(UserError, match=r"shards of another corpus: held_out was 0\.2, now 0\.1") as caught:
        prepare_shard(sources, tmp_path / "c", other, 1, 2, workers=1, progress="off")
    assert caught.value.exit == 4
    prepare_shard(sources, tmp_path / "c", other, 1, 2, workers=1, overwrite=True, progress="off")
    with pytest.raises(UserError, match="lacks shard 0/2"):
        merge(tmp_path / "c")


KILL = """
import os, signal, sys
from maskdial.data import corpus, prepare, storage, survey, tokenizer
point, left = sys.argv[2], int(sys.argv[3])
home = {"add": storage.ShardWriter, "replace": os, "save": tokenizer.Tokenizer, "open": corpus.Corpus}[point]
real = getattr(home, point)
def counted(*a, **k):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*a, **k)
setattr(home, point, counted)
survey.UNIT = 8192
prepare(sys.argv[4:], sys.argv[1], vocab_size=400, held_out=0.2, workers=1, progress="off")
print(-1 - left)
"""


def run_until(point, left, out, sources):
    return subprocess.run([sys.executable, "-c", KILL, str(out), point, str(left), *sources], capture_output=True, text=True)


@pytest.fixture(scope="module")
def renames(sources, tmp_path_factory):
    """How often a whole run renames something."""
    return int(run_until("replace", -1, tmp_path_factory.mktemp("count") / "c", sources).stdout)


POINTS = [("save", 0), ("add", 100), *(("replace", n) for n in (2, 3, 17, -2, -1))]


@pytest.mark.parametrize(("point", "left"), POINTS)
def test_a_killed_run_leaves_no_corpus_and_the_next_ends_the_same(
    whole, sources, renames, tmp_path, folder_of, small_shards, point, left
):  # fmt: skip
    out = tmp_path / "c"
    done = run_until(point, left % renames, out, sources)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(UserError, match="no prepared corpus") as caught:
        Corpus.open(out)
    assert "run it again" in caught.value.hint
    prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, progress="off")
    assert folder_of(out) == folder_of(whole.folder)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in whole.folder.iterdir())


def test_a_run_that_is_killed_while_it_tidies_up_has_made_its_corpus(whole, sources, tmp_path, folder_of, small_shards):
    out = tmp_path / "c"
    assert run_until("open", 0, out, sources).returncode == -signal.SIGKILL
    assert (out / "plan.json").is_file()
    (out / ".tmp-shard-00007").mkdir()  # as another machine's may be left
    assert Corpus.open(out).fingerprint == whole.fingerprint
    prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, progress="off")
    assert folder_of(out) == folder_of(whole.folder)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in whole.folder.iterdir())


def test_what_is_finished_is_kept_and_what_is_damaged_is_made_again(whole, sources, tmp_path, folder_of, small_shards, monkeypatch):
    out = tmp_path / "c"
    prepare_shard(sources, out, OPTIONS, 0, 2, workers=1, progress="off")
    done = sorted(p.stem for p in out.glob("shard-*.json"))
    path = out / f"{done[1]}.bin"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    (out / f"{done[2]}.sent").unlink()
    (out / f"{done[3]}.json").write_text("{")
    made = []
    real = working.encode_unit
    monkeypatch.setattr(working, "encode_unit", lambda *a: (made.append(a[6]), real(*a))[1])
    monkeypatch.setattr("maskdial.data.build.make_plan", None)  # nothing is surveyed again
    assert folder_of(prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, progress="off").folder) == folder_of(whole.folder)
    assert made == [1, 2, 3, *range(len(done), made[-1] + 1)]


def test_a_plan_that_is_damaged_is_made_again(whole, sources, tmp_path, folder_of, small_shards):
    out = tmp_path / "c"
    for name in ("tokenizer/tokenizer.json", "plan.json"):
        prepare_shard(sources, out, OPTIONS, 0, 4, workers=1, progress="off")
        (out / name).write_bytes(b"{}")
    with pytest.raises(UserError, match="made by another version"):
        prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, progress="off")
    made = prepare(sources, out, vocab_size=400, held_out=0.2, workers=1, overwrite=True, progress="off")
    assert folder_of(made.folder) == folder_of(whole.folder)


RUN = """
import sys
from maskdial.data import prepare, survey
survey.UNIT = 1 << 14
prepare(sys.argv[2:], sys.argv[1], vocab_size=300, workers=2, progress="off")
"""


def test_killing_the_parent_of_two_workers_ends_them_and_loses_no_finished_shard(tmp_path, folder_of, monkeypatch):
    monkeypatch.setattr(survey, "UNIT", 1 << 14)
    texts = [{"text": " ".join(f"word{(i * j) % 1009}" for j in range(2000))} for i in range(1, 50)]
    source, out = str(write_jsonl(tmp_path / "a.jsonl", texts)), tmp_path / "c"
    parent = subprocess.Popen([sys.executable, "-c", RUN, str(out), source])
    while len([*out.glob("shard-*.json")]) < 3:
        assert parent.poll() is None
        time.sleep(0.01)
    workers = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=20)[1] == [], "nobody works on when nobody waits"
    kept = {p.name: p.stat().st_ino for p in out.iterdir() if p.suffix == ".bin" and (out / f"shard-{p.stem[-5:]}.json").is_file()}
    assert len(kept) >= 3
    made = prepare(source, out, vocab_size=300, workers=2, progress="off")
    assert len(made.train.shards) > len(kept) / 2
    assert {name: (out / name).stat().st_ino for name in kept} == kept, "what was finished is not made again"
    other = prepare(source, tmp_path / "other", vocab_size=300, workers=1, progress="off")
    assert folder_of(other.folder) == folder_of(out)


def test_what_goes_wrong_in_a_worker_is_said_as_anywhere(tmp_path, small_shards):
    for n in range(3):
        text = "[" if n == 1 else '{"text": "some text"}'
        (tmp_path / f"{n}.jsonl").write_text(f"{text}\n" * 3)
    with pytest.raises(UserError, match=r"1\.jsonl:1: no JSON") as caught:
        prepare(str(tmp_path / "*.jsonl"), tmp_path / "c", errors="error", workers=2, progress="off")
    assert caught.value.code == "data.malformed"
    assert not (tmp_path / "c").exists()


def test_a_worker_that_ends_by_itself_is_told_of(tmp_path, sources, small_shards, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"a worker of prepare ended by itself \(status 1\)") as caught:
        prepare(sources, tmp_path / "c", tokenizer="bytes", workers=2, progress="off")
    assert "fewer --workers" in caught.value.hint
    assert not (tmp_path / "c").exists()


def test_text_that_changes_meanwhile_is_noticed(tmp_path, sources, small_shards, monkeypatch):
    out, path = tmp_path / "c", tmp_path / "a.txt"
    path.write_text("\n\n".join(f"text number {i} of some" for i in range(500)))
    real = working.Work.make

    def change(self, number, said):
        if number == 1:
            path.write_text("something else\n\n" * 3)
            self.__dict__.pop("_walk")
        return real(self, number, said)

    monkeypatch.setattr(working.Work, "make", change)
    with pytest.raises(UserError, match="changed while it was being prepared"):
        prepare(str(path), out, tokenizer="bytes", workers=1, progress="off")


def test_files_stay_closed_however_many_shards_there_are(whole):
    before = psutil.Process().num_fds()
    whole.rows(32, 0, 3 * len(whole.train.shards), seed=0)
    again = Corpus.open(whole.folder)
    again.rows(32, 0, 500, seed=0)
    assert psutil.Process().num_fds() - before <= 128
