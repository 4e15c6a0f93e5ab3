"""Filters, from what somebody wrote."""

from datetime import datetime

import pytest

from notesearch.errors import UsageError
from notesearch.records import Filters
from notesearch.retrieval.query import make_filters


def test_filters_say_what_was_written():
    since, until = datetime(2024, 1, 1), datetime(2025, 1, 1)
    expected = Filters(("a", "b/c"), ("d",), "~/notes/*", since, until)
    assert make_filters(["a", "b/c"], ["d"], "~/notes/*", since, until) == expected
    assert make_filters([], [], "", None, None) == Filters()


def test_undecodable_bytes_of_a_command_line_become_what_can_be_stored():
    filters = make_filters(["a\udcff"], ["\udc80"], "*\udcfe.md", None, None)
    assert (filters.tags, filters.excluded_tags, filters.path_glob) == (("a?",), ("?",), "*?.md")


def test_a_path_of_megabytes_is_refused():
    make_filters([], [], "*" * 10_000, None, None)
    with pytest.raises(UsageError, match="the path has 10,001 characters"):
        make_filters([], [], "*" * 10_001, None, None)
