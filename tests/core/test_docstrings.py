"""The examples in the core's own documentation say what the code does. Those for users are tried with the rest of theirs."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from jobledger.core import policy, ranges

MODULES = [policy, ranges]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_are_right(module: ModuleType) -> None:
    failed, examples = doctest.testmod(module)
    assert examples
    assert not failed
