"""Chat templates: a conversation as one text, with the assistant's turns marked.

Templates are Jinja, as tokenizers carry them, and run in a sandbox. Where a template says `{% generation %}`, its marks are
taken. Where it does not, each assistant turn is what comes after the conversation before it, rendered with the prompt for
an answer: the two renderings must agree on that beginning.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from maskdial.errors import UserError

Messages = Sequence[Mapping[str, Any]]

FILE = "chat_template.jinja"
#: Around an assistant turn in a rendering, and inside a special token that a message only spells: three of Unicode's
#: noncharacters, which are no text.
OPEN, CLOSE, BREAK = "\U0001fffe", "\U0001ffff", "\U0002fffe"
_OURS = str.maketrans(dict.fromkeys((OPEN, CLOSE, BREAK), "\ufffd"))
#: For tokenizers without a template.
PLAIN = (
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}{{ m.content or '' }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content or '' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
#: What a template that prints today's date gets, so that the same text gives the same corpus.
TODAY = (2024, 7, 26, 0, 0, 0, 4, 208, 0)


def template_in(folder: Path) -> str | None:
    """The template of a Hugging Face folder: `chat_template.jinja`, else what `tokenizer_config.json` holds; None without."""
    file, config = folder / FILE, folder / "tokenizer_config.json"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found: Any = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(found, list):  # several by name
        found = {t.get("name"): t.get("template") for t in found}.get("default")
    return found if isinstance(found, str) else None


def find_template(given: str) -> str:
    """The template that `plain`, a file or a tokenizer's folder means. `UserError` when there is none."""
    if given == "plain":
        return PLAIN
    path = Path(given).expanduser()
    found = template_in(path) if path.is_dir() else path.read_text(encoding="utf-8") if path.is_file() else None
    if found is None:
        raise UserError(f"there is no chat template at {given}", hint=f"give a Jinja file, a folder with {FILE} or a "
                        "tokenizer_config.json that holds one, or plain", code="chat.template", where=given)  # fmt: skip
    return found


def digest(template: str) -> str:
    return f"sha256:{hashlib.sha256(template.encode()).hexdigest()}"


@lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    import time

    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %} … {% endgeneration %}`: what the assistant says."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("marked"), [], [], body).set_lineno(line)

        def marked(self, caller: Any) -> str:
            return f"{OPEN}{caller()}{CLOSE}"

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: time.strftime(form, TODAY)}
    return environment.from_string(source)


class Template:
    """A chat template with the special tokens it may write: `tokens` by the names templates know (`eos_token`, …), and `spelt`,
    which finds any special token in a text."""

    def __init__(self, source: str, tokens: Mapping[str, str], spelt: re.Pattern[str]) -> None:
        self.source, self._tokens, self._spelt = source, tokens, spelt

    def render(self, messages: Messages, prompt: bool = False) -> str:
        """The conversation as a text, OPEN and CLOSE around what `{% generation %}` holds; with `prompt`, up to where the
        assistant begins to answer. `UserError` when the template can't."""
        try:
            text: str = _compiled(self.source).render(messages=[dict(m) for m in messages], add_generation_prompt=prompt, tools=None,
                                                      documents=None, **self._tokens)  # fmt: skip
        except Exception as error:  # a template can raise anything
            roles = ", ".join(str(m.get("role")) for m in messages)
            raise UserError(f"the chat template can't render the turns {roles}: {error}", hint="mend the record or choose another "
                            "template (--template)", code="chat.template") from error  # fmt: skip
        return text

    def marked(self, messages: Messages) -> str:
        """The whole conversation with OPEN and CLOSE around each assistant turn, and a BREAK inside each special token that
        the messages spell. `UserError` that names the marker when a turn is not found."""
        guarded = [_each(m, self._broken) for m in messages]
        text = self.render(guarded)
        if guarded != list(messages):
            plain = self.render([_each(m, lambda said: said.replace(BREAK, "")) for m in guarded])
            if text.replace(BREAK, "") != plain:
                raise UserError("the chat template looks for special tokens inside messages, and one of them spells one",
                                hint="remove it from the message, or choose another template", code="chat.special")  # fmt: skip
        if _GENERATION.search(self.source):
            return text
        for start, end in reversed(self._turns(guarded, text)):
            text = f"{text[:start]}{OPEN}{text[start:end]}{CLOSE}{text[end:]}"
        return text

    def _broken(self, said: str) -> str:
        """A text with every special token that it spells broken in two."""
        return self._spelt.sub(lambda m: f"{m[0][0]}{BREAK}{m[0][1:]}", said.translate(_OURS))

    def _turns(self, messages: Messages, whole: str) -> list[tuple[int, int]]:
        """Where the assistant's turns lie in the rendering of all messages; each ends with its end-of-turn token, if any."""
        spans: list[tuple[int, int]] = []
        for n, message in enumerate(messages):
            if message.get("role") != "assistant":
                continue
            before, until = self.render(messages[:n], prompt=True), self.render(messages[: n + 1])
            at = spans[-1][1] if spans else 0
            start, turn = len(before), until[len(before) :]
            if not whole.startswith(before):
                marker = self.marker(messages[:n], before)
                start = whole.find(marker, at) + len(marker)
                at = max(at, len(marker))
            if not whole.startswith(until):  # an earlier turn looks otherwise than the last one: go by how this one ends
                closing = [m[0] for m in self._spelt.finditer(turn)]
                end = whole.find(closing[-1], start) + len(closing[-1]) if closing else -1
                turn = whole[start:end] if end > start else ""
            if start < at or not turn or not until.startswith(before):
                raise UserError(f"the chat template does not begin an answer with its own marker {self.marker(messages[:n], before)!r}",
                                hint="give a template with {% generation %} around what the assistant says (--template)",
                                code="chat.marker")  # fmt: skip
            closed = [m.end() for m in self._spelt.finditer(turn)]
            if closed and not turn[closed[-1] :].strip():
                turn = turn[: closed[-1]]
            spans.append((start, start + len(turn)))
        return spans

    def marker(self, asked: Messages, before: str | None = None) -> str:
        """What the template writes where the assistant begins to answer."""
        before = self.render(asked, prompt=True) if before is None else before
        bare = self.render(asked)
        return before[len(bare) :] if before.startswith(bare) and len(before) > len(bare) else before[-40:]


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {k: _each(v, change) for k, v in value.items()}
    return [_each(v, change) for v in value] if isinstance(value, list) else value
