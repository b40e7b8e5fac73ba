"""Random edits of bundles and of stopped servers' stores: all are found, and the right commit is named.

Thousands of them: `PYTHONPATH=tests .venv/bin/python -m support.audit_edits --edits 10000`.
"""

from __future__ import annotations

from random import Random

import pytest

from support.audit_edits import OPERATIONS, Place

EDITS = 25  # of each kind


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("edited"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_verdict_on_an_edited_bundle_is_right(place: Place, operation: str) -> None:
    random = Random(0)
    assert [place.edit_bundle(random, operation) for _ in range(EDITS)] == [""] * EDITS


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_verdict_on_an_edited_store_is_right(place: Place, operation: str) -> None:
    random = Random(0)
    assert [place.edit_store(random, operation) for _ in range(EDITS)] == [""] * EDITS
