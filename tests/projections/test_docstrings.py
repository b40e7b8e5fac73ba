"""The examples in the docstrings."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from jobledger.projections import job_view, utc


@pytest.mark.parametrize("module", [utc, job_view], ids=lambda module: module.__name__)
def test_the_examples_of(module: ModuleType) -> None:
    failed, examples = doctest.testmod(module)
    assert examples
    assert not failed
