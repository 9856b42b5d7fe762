"""A process that imports everything once and then forks: a child a command, so that killing a run costs no start.

    with Forks() as forks:
        forks("run", out=…, objective="t5", signal="SIGTERM", at=6)     → {"status": 143, "said": "…"}

Commands are the functions of `COMMANDS`; each runs in the server and answers with JSON. A child that is killed leaves what a
killed process leaves: locks are freed, buffers are lost.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.train.bits import differing, final, sound
from tests.train.boundaries import Boundaries

ROOT = Path(__file__).parents[2]
#: No child and no command takes longer, or something hangs.
SECONDS = 1200


class Forks:
    """The side of the tests."""

    def __enter__(self) -> Forks:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        self.server = subprocess.Popen([sys.executable, "-m", "tests.train.forks"], cwd=ROOT, text=True, env=environment,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        return self

    def __call__(self, command: str, **given: Any) -> Any:
        pipes = self.server.stdin, self.server.stdout
        assert pipes[0] is not None
        assert pipes[1] is not None
        pipes[0].write(json.dumps([command, {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}]) + "\n")
        pipes[0].flush()
        answer = pipes[1].readline()
        assert answer, "the server died"
        ok, value = json.loads(answer)
        assert ok, value
        return value

    def __exit__(self, *error: object) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(60)
        if self.server.stdout is not None:
            self.server.stdout.close()


def fork(work: Callable[[], Any], log: Path) -> int:
    """A child that does this, its words in a file; its status is 0, a `UserError`'s, or 99 for anything else."""
    from maskdial.errors import UserError

    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        signal.alarm(SECONDS)
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        work()
        status = 0
    except UserError as error:
        print(f"error: {error.message}\n  {error.hint}", file=sys.stderr, flush=True)
        status = error.exit
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def wait(pid: int) -> int:
    """A child's status; negative: the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def settings(**changes: Any) -> Any:
    """The run that these tests stop: deterministic, 14 steps unless said otherwise."""
    from tests.train.helpers import config

    return config(**({"budget": "14steps", "deterministic": True, "checkpoint__every": 4, "log_every": 3} | changes))


def training(out: Path, objective: str, at: int = 0, number: str = "SIGKILL", **changes: Any) -> None:
    """Train; right after step `at` this process sends itself a signal."""
    import maskdial as md
    from maskdial.train import train
    from maskdial.train.loop import Loop
    from tests.train.helpers import FakeCorpus

    real = Loop._log

    def log(self: Loop) -> None:
        real(self)
        if self.state.step == at:
            os.kill(os.getpid(), getattr(signal, number))

    Loop._log = log  # type: ignore[method-assign]
    train(settings(**changes), md.objective(objective), FakeCorpus(), out, progress="plain")


def run(out: str, objective: str, at: int = 0, signal: str = "SIGKILL", limit: int | None = None, **changes: Any) -> dict[str, Any]:
    """One child that trains. `limit`: no file may grow beyond so many bytes."""

    def work() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        training(Path(out), objective, at, signal, **changes)

    log = Path(f"{out}.log")
    return {"status": wait(fork(work, log)), "said": log.read_text()}


def counted(work: Callable[[], Any], log: Path) -> list[str]:
    """The boundaries of some work, in order."""

    def count() -> None:
        boundaries = Boundaries()
        real = io.open
        boundaries.install()
        work()
        with real(log.with_suffix(".names"), "w") as file:
            json.dump(boundaries.names, file)

    status = wait(fork(count, log))
    assert status == 0, log.read_text()
    found: list[str] = json.loads(log.with_suffix(".names").read_text())
    return found


def killed_at(at: int, work: Callable[[], Any], log: Path) -> int:
    """Do some work in a child that is killed right after its boundary number `at`, if it gets so far."""

    def cut() -> None:
        Boundaries(at).install()
        work()

    status = wait(fork(cut, log))
    assert status in (0, -signal.SIGKILL), (at, status, log.read_text())
    return status


def boundaries_of_save(out: str) -> dict[str, Any]:
    """Kill `save` and `retain` right after each call in turn; what is found then is one of the two whole checkpoints."""
    import torch

    from maskdial.train import checkpoint

    arrays = {"model": {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0)}, "optimizer": {"mean/a": torch.ones(6)}}

    def make(folder: Path, step: int) -> None:
        checkpoint.save(folder, step, {k: {n: a + step for n, a in v.items()} for k, v in arrays.items()}, {"step": step}, {"config": {}})

    def work(folder: Path) -> None:
        make(folder, 6)
        checkpoint.retain(folder, 2)

    def start(name: str) -> Path:
        for step in (4, 5):
            make(Path(out) / name, step)
        return Path(out) / name

    warnings: list[str] = []
    found: list[int] = []
    home = start("all")
    names = counted(lambda: work(home), Path(out) / "log")
    for at in range(1, len(names) + 1):
        folder = start(str(at))
        assert killed_at(at, lambda: work(folder), Path(out) / "log"), at  # noqa: B023
        for _, path in checkpoint.found(folder):
            checkpoint.verify(path)
        best = checkpoint.newest(folder, warnings.append)
        assert best is not None
        assert best.state() == {"step": best.step}
        assert best.tensors("model")["a"].equal(arrays["model"]["a"] + best.step)
        found.append(best.step)
        checkpoint.sweep(folder)
        if best.step == 5:
            make(folder, 6)
        checkpoint.retain(folder, 2)
        assert sorted(os.listdir(folder)) == ["step-5", "step-6"], at
        shutil.rmtree(folder)
    return {"names": names, "found": found, "warnings": warnings}


def boundaries_of_run(out: str, objective: str, stride: int, **changes: Any) -> dict[str, Any]:
    """Kill a whole run, from its first call to its last, right after every `stride`-th (and every third of those that begin it); go
    on, be killed again, end the same."""

    def work(folder: Path) -> Callable[[], None]:
        return lambda: training(folder, objective, **changes)

    home = Path(out)
    log = home / "log"
    names = counted(work(home / "whole"), log)
    wanted, cuts = final(home / "whole"), sorted({*range(1, len(names), stride), *range(1, 24, 3)})
    for at in cuts:
        folder = home / str(at)
        assert killed_at(at, work(folder), log), at
        sound(folder)
        killed_at(min(at, 40), work(folder), log)
        sound(folder)
        status = wait(fork(work(folder), log))
        assert status == 0, (at, log.read_text())
        assert differing(final(folder), wanted) == [], at
        shutil.rmtree(folder)
    return {"names": names, "cuts": len(cuts)}


def random_kills(out: str, objective: str, kills: int, seed: int, **changes: Any) -> dict[str, Any]:
    """Kill runs at random moments, until each has got to its end all the same, and so often in all; each ends with the same bits."""
    home, g, done, runs = Path(out), random.Random(seed), 0, 0
    log, began = home / "log", time.perf_counter()
    assert wait(fork(lambda: training(home / "whole", objective, **changes), log)) == 0, log.read_text()
    whole, wanted = time.perf_counter() - began, final(home / "whole")
    while done < kills:
        folder, status, runs = home / f"run-{runs}", -1, runs + 1
        while status:
            pid = fork(lambda: training(folder, objective, **changes), log)  # noqa: B023
            if done < kills:
                time.sleep(g.uniform(0, 0.8 * whole))
                os.kill(pid, signal.SIGKILL)
            status = wait(pid)
            assert status in (0, -signal.SIGKILL), log.read_text()
            done += status != 0
            sound(folder)
        assert differing(final(folder), wanted) == []
        shutil.rmtree(folder)
    return {"kills": done, "runs": runs, "seconds_of_a_run": whole}


COMMANDS: dict[str, Callable[..., Any]] = {
    c.__name__: c for c in (run, boundaries_of_save, boundaries_of_run, random_kills)
}  # fmt: skip


def main() -> None:
    """Import what training needs, compile the kernels, then answer."""
    import torch

    import maskdial as md
    import maskdial.train
    from tests.train.helpers import FakeCorpus

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)  # imports for seconds, once instead of in every child
    for name in ("gpt", "bert", "t5"):  # no gradient here: a child could not make one after it on a machine with a GPU
        md.objective(name)(FakeCorpus().rows(28, 0, 4, seed=0), FakeCorpus().vocab, seed=0).batch()
    for line in sys.stdin:
        command, given = json.loads(line)
        signal.alarm(SECONDS)
        try:
            answer = [True, COMMANDS[command](**given)]
        except Exception:
            answer = [False, traceback.format_exc()]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
