"""The explorer's times, measured by hand on a quiet machine: `python -m tests.explore.speed`.

Server: a dial move of every recipe at 64 tokens, answer and JSON. Page: the first page after the port is open; a dial move in the
browser at 64 and at 512 tokens, from the click until the page has changed, and what of it comes after the answer (a frame follows).
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from urllib.parse import quote

from maskdial.explore.answers import Answers
from maskdial.recipes import recipes
from tests.explore.browsing import chromium
from tests.explore.opened import Real

MOVES = 15
#: clicks and waits until the answer has changed the page; [milliseconds in all, milliseconds from the answer's last byte on]
MOVE = """async () => {
    const answers = () => performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/api/sample'))
    const changed = new Promise((done) => {
        const watch = new MutationObserver(() => answers().length && (watch.disconnect(), done(performance.now())))
        watch.observe(document.querySelector('[data-testid=maskdial]'), { subtree: true, childList: true })
    })
    performance.clearResourceTimings()
    const start = performance.now()
    document.querySelector('[data-testid=reroll]').click()
    const end = await changed
    return [end - start, end - answers().at(-1).responseEnd]
}"""


def words(count: int) -> str:
    return " ".join(f"w{i}" for i in range(count))


def server() -> dict[str, float]:
    """Median milliseconds of a dial move by recipe."""
    answers, made = Answers(), {}
    for name in recipes():
        took = []
        for seed in range(MOVES + 1):
            start = time.perf_counter()
            json.dumps(answers({"objective": name, "text": words(64), "seed": seed}))
            took.append(1e3 * (time.perf_counter() - start))
        made[name] = statistics.median(took[1:])
    return made


def main() -> None:
    found = server()
    slowest = max(found, key=lambda name: found[name])
    print(f"server, a dial move at 64 tokens: median {statistics.median(found.values()):.1f} ms, {slowest} {found[slowest]:.1f} ms")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "maskdial", "explore", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.005)
        start = time.perf_counter()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
        print(f"the first page after the port is open: {1e3 * (time.perf_counter() - start):.0f} ms")
        time.sleep(30)  # kernels are compiled behind the page
        with chromium() as browser:
            for count in (64, 512):
                visit = Real(browser, f"http://127.0.0.1:{port}/", f"#v=1&o=bert&t={quote(words(count))}")
                visit.settle()
                moves = []
                for _ in range(MOVES):
                    moves.append(visit.page.evaluate(MOVE))
                    visit.settle()
                whole, drawing = (statistics.median(each) for each in zip(*moves, strict=True))
                print(f"browser, a dial move at {count} tokens: {whole:.0f} ms, of which {drawing:.0f} ms draw the answer")
                visit.close()
        process.terminate()


if __name__ == "__main__":
    main()
