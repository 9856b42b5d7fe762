"""The explorer's times, measured by hand on a quiet machine: `python -m tests.explore.speed`.

Server: a dial move of every recipe at 64 tokens, answer and JSON. Page: the first page after the port is open; a dial move in the
browser at 64 and at 512 tokens: from the click until the page has changed and until that is painted, how long the paint comes after
the answer, and the processor's time for layout and styles, which the rest of the machine disturbs least.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any
from urllib.parse import quote

from maskdial.explore.answers import Answers
from maskdial.recipes import recipes
from tests.explore.browsing import chromium
from tests.explore.opened import Real

MOVES = 15
#: clicks and waits; milliseconds until the answer has changed the page, until the frame after it, and from the answer's last byte to it
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
    await new Promise(requestAnimationFrame)
    await new Promise((painted) => setTimeout(painted))
    const frame = performance.now()
    return [end - start, frame - start, frame - answers().at(-1).responseEnd]
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


def counted(tools: Any) -> list[float]:
    """Milliseconds that the page has spent so far on layout and on styles."""
    found = {one["name"]: 1e3 * one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    return [found["LayoutDuration"], found["RecalcStyleDuration"]]


def moves(visit: Real) -> list[float]:
    """Medians over dial moves: what MOVE says, then the time for layout and for styles."""
    tools = visit.context.new_cdp_session(visit.page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    made = []
    for _ in range(MOVES):
        before = counted(tools)
        times = visit.page.evaluate(MOVE)
        made.append(times + [now - then for now, then in zip(counted(tools), before, strict=True)])
        visit.settle()
    return [statistics.median(each) for each in zip(*made, strict=True)]


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
                changed, frame, drawing, layout, styles = moves(visit)
                print(f"browser, a dial move at {count} tokens: {changed:.0f} ms, painted after {frame:.0f} ms")
                print(f"  from the answer to the paint {drawing:.0f} ms; layout {layout:.0f} ms, styles {styles:.0f} ms")
                visit.close()
        process.terminate()


if __name__ == "__main__":
    main()
