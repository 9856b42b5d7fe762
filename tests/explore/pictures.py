"""The explorer's pictures in the docs, taken by hand: `python -m tests.explore.pictures [FOLDER]`."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from maskdial.explore import server
from maskdial.explore.answers import Answers
from tests.explore.browsing import chromium
from tests.explore.conftest import TOKEN, serving
from tests.explore.opened import Real

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
#: name → link, width, height, colours
PICTURES = {
    "light": ("", 1280, 1300, "light"),
    "dark": ("#v=1&o=bert", 1280, 1400, "dark"),
    "leak": ("#v=1&o=gpt&p.see=bidirectional", 1280, 1370, "light"),
    "two-streams": ("#v=1&o=t5&row=answer.2", 1280, 1720, "light"),
    "empty": ("#v=1&o=bert&t=", 1280, 760, "light"),
    "error": ("#v=1&o=bert&p.rate=7", 1280, 900, "light"),
    "narrow": ("#v=1&o=bert", 360, 1240, "light"),
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with contextmanager(serving)(server.application(TOKEN, Answers())) as live, chromium() as browser:
        for name, (link, width, height, colours) in PICTURES.items():
            visit = Real(browser, live.url, link, viewport={"width": width, "height": height}, color_scheme=colours)
            visit.settle()
            taken = Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
            # a page has few colours: a palette halves the file, and nothing is seen of it
            taken.quantize(256, dither=Image.Dither.NONE).save(folder / f"explorer-{name}.png", optimize=True)
            visit.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
