"""One forking process for all tests that kill runs."""

from collections.abc import Iterator

import pytest

from tests.train.forks import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made
