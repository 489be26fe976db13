"""The mutants: each is named by a test that shows it."""

from __future__ import annotations

from tests.support.mutants import MUTANTS
from tests.support.run_mutants import named_by_tests


def test_every_mutant_is_named_by_a_test_and_every_name_is_one() -> None:
    assert set(named_by_tests()) == set(MUTANTS)
