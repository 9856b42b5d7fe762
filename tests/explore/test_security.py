"""What reaches the local server from outside gets nothing, and what it sends can't act."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import inspect
import json
import re
import socket
import threading
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from maskdial.cli.explore import explore
from maskdial.explore import guard, server
from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.explore.page import POLICY, exported, served
from maskdial.explore.texts import FIRST
from tests.explore.conftest import TOKEN, carried, serving

JSON = {"content-type": "application/json"}
HEAD = f"POST /api/sample HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Maskdial-Token: {TOKEN}\r\n"
PASS = JSON | {"x-maskdial-token": TOKEN}
XSS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>', "javascript:alert(1)", "{{7*7}}", "${alert(1)}", "<iframe srcdoc='<script>alert(1)</script>'>",
    "\u2028alert(1)\u2029", "]]><b>",
]  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Any:
    return server.application(TOKEN, Answers())


@pytest.fixture(scope="module")
def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8123")


def post(client: TestClient, body: Any = FIRST, **headers: str) -> Any:
    return client.post("/api/sample", content=body if isinstance(body, bytes) else json.dumps(body), headers=PASS | headers)


FOREIGN = ["evil.example", "127.0.0.1.evil.example", "evil.example:8123", "[::2]", "", "localhost@evil", "127.0.0.1/x", "0.0.0.0"]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_gets_nothing(client, host):
    for path in ("/", "/api/meta", "/ui/explorer.js"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 400
        assert TOKEN not in answer.text
    assert post(client, host=host).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:8123", "LOCALHOST", "[::1]:9"])
def test_this_machine_by_any_of_its_names_is_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200
    assert post(client, host=host, origin=f"http://{host}").status_code == 200


ELSEWHERE = ["http://evil.example", "null", "https://127.0.0.1:8123", "http://127.0.0.1:9999", "http://localhost:8123", "file://"]


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_foreign_origin_gets_nothing(client, origin):
    assert post(client, origin=origin).status_code == 403
    assert client.get("/api/meta", headers={"origin": origin}).status_code == 403


def test_asking_wants_the_token_of_this_launch(client):
    for token in ({}, {"x-maskdial-token": ""}, {"x-maskdial-token": TOKEN[:-1]}, {"x-maskdial-token": TOKEN + "x"}):
        answer = client.post("/api/sample", json=FIRST, headers=token)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "http.403"
    assert post(client).json()["ok"]
    assert carried(client.get("/").text, "meta")
    assert f'name="maskdial-token" content="{TOKEN}"' in client.get("/").text


def test_two_launches_have_two_tokens():
    assert "secrets.token_urlsafe" in inspect.getsource(explore)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_no_other_method_is_answered(client, method):
    for path in ("/", "/api/sample"):
        assert client.request(method, path, headers=PASS).status_code == 405
    assert client.get("/api/sample").status_code == 405
    assert client.post("/api/meta", headers=PASS).status_code == 405


def test_a_request_is_json_of_bounded_size(client):
    assert client.post("/api/sample", content=json.dumps(FIRST), headers=PASS | {"content-type": "text/plain"}).status_code == 415
    assert post(client, b"x" * (guard.BODY + 1)).status_code == 413
    assert post(client, b" " * guard.BODY).status_code == 200, "just as much as may be, although no JSON"

    def endless() -> Any:
        for _ in range(64):
            yield b"x" * (1 << 16)

    assert client.post("/api/sample", content=endless(), headers=PASS).status_code == 413
    assert post(client, b"{}", **{"content-length": "many"}).status_code == 413


NONE = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"objective": NaN}', b'{"seed": 1e999}', b"null", b'"x"', b'{"text": "\\ud800"}']


@pytest.mark.parametrize("body", NONE)
def test_what_is_no_request_is_told_so(client, body):
    answer = post(client, body)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["error"]["code"] != "unexpected"


NOWHERE = ["/../../etc/passwd", "/ui/../server.py", "/ui/%2e%2e/server.py", "/ui/", "/api", "/report", "/api/ask", "/api/audit"]


@pytest.mark.parametrize("path", NOWHERE)
def test_there_is_nothing_but_the_routes(client, path):
    assert client.get(path).status_code == 404


def test_every_response_is_marked(client):
    for answer in (client.get("/"), client.get("/api/meta"), client.get("/nothing"), post(client), client.get("/", headers={"host": "x"})):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    assert POLICY.startswith("default-src 'self'")
    assert "unsafe" not in POLICY


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the scripts' texts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


@pytest.mark.parametrize("text", XSS)
def test_no_text_becomes_an_element(text):
    answers, known = Answers(), meta()
    plain = [tag for tag, _ in elements(served(known, answers(FIRST), TOKEN)) if tag in ("script", "img", "iframe")]
    for tokenizer in ("words", "bytes"):
        first = answers(FIRST | {"text": text, "tokenizer": tokenizer, "options": {}})
        assert first["ok"]
        for page in (served(known, first, TOKEN), exported(known, first, {"k": first}, "export default {}")):
            found = elements(page)
            tags = [tag for tag, _ in found if tag in ("script", "img", "iframe")]
            assert tags == plain or tags == [*plain, "script"], "an exported page carries its answers too"
            assert not [name for _, attributes in found for name in attributes if name.startswith("on") or name == "srcdoc"]
            assert json.loads(carried(page, "first")) == first


def test_a_script_in_an_exported_page_is_the_only_one_that_may_run(exported):
    page = exported.read_text(encoding="utf-8")
    script = re.search(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    assert not [a for _, a in elements(page) if any(str(a.get(k, "")).startswith(("http", "//")) for k in ("src", "href"))]


# --- clients that are slow, on a real socket ------------------------------------------------------------------------


@pytest.fixture
def hasty(app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(guard, "PATIENCE", 0.6)
    yield from serving(app)


def dial(live: Any, data: bytes) -> socket.socket:
    made = socket.create_connection(live.address, timeout=10)
    made.sendall(data)
    return made


def rest(sock: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    got = b""
    with sock:
        while piece := sock.recv(65536):
            got += piece
    return got


def test_it_listens_on_this_machine_only(live):
    assert live.address[0] == "127.0.0.1"


def test_a_client_that_never_finishes_is_left(hasty):
    start = time.monotonic()
    silent, lines = dial(hasty, b""), dial(hasty, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    text = dial(hasty, f"{HEAD}Content-Length: 500\r\n\r\n{{".encode())
    assert rest(silent) == b""
    assert rest(lines) == b""
    assert b" 408 " in rest(text).split(b"\r\n")[0]
    assert time.monotonic() - start < 8


def test_lines_without_end_are_refused(hasty):
    found = b""
    with contextlib.suppress(ConnectionError):  # it may hang up while it is still being talked to
        found = rest(dial(hasty, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000))
    assert b"200" not in found.split(b"\r\n")[0]


def test_many_idle_clients_do_not_stop_the_others(hasty):
    idle = [dial(hasty, b"") for _ in range(server.CONNECTIONS + 20)]
    time.sleep(1.2)  # they are left after 0.6 s
    answer = rest(dial(hasty, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"))
    assert b" 200 " in answer.split(b"\r\n")[0]
    for sock in idle:
        sock.close()


def test_two_hundred_requests_in_two_seconds(live):
    def ask(number: int) -> bytes:
        body = json.dumps(FIRST | {"seed": number}).encode()
        return f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    codes: list[bytes] = []

    def some(numbers: range) -> None:
        for number in numbers:
            sock = dial(live, ask(number))
            if number % 4:
                codes.append(rest(sock).split(b"\r\n")[0])
            else:
                sock.close()  # a page that has moved on hangs up

    workers = [threading.Thread(target=some, args=(range(i, 200, 6),)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert codes == [b"HTTP/1.1 200 OK"] * 150
    assert json.loads(rest(dial(live, ask(7))).partition(b"\r\n\r\n")[2])["extra"]["request"]["seed"] == 7
