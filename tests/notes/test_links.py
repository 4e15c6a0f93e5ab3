from pathlib import Path

import pytest

from notesearch.notes import LinkResolver

NOTES = [Path(path) for path in ("/v/a.md", "/v/b/c.md", "/v/b/Übung.org", "/v/d/c.md", "/v/d/e/deep.md", "/v/c.d.md")]


@pytest.mark.parametrize(
    ("source", "target", "kind", "expected"),
    [
        ("/v/a.md", "b/c.md", "relative", "/v/b/c.md"),
        ("/v/d/c.md", "../a.md", "relative", "/v/a.md"),
        ("/v/a.md", "../../../etc/passwd.md", "relative", None),
        ("/v/a.md", "C.md", "relative", None),  # a path is what it is
        ("/v/a.md", "deep", "wiki", "/v/d/e/deep.md"),
        ("/v/a.md", "DEEP.MD", "wiki", "/v/d/e/deep.md"),
        ("/v/a.md", "übung", "wiki", "/v/b/Übung.org"),
        ("/v/a.md", "c.d", "wiki", "/v/c.d.md"),
        ("/v/a.md", "c", "wiki", "/v/b/c.md"),  # of two as deep, the first
        ("/v/d/x.md", "c", "wiki", "/v/d/c.md"),  # of two, the one beside the source
        ("/v/a.md", "d/c", "wiki", "/v/d/c.md"),
        ("/v/a.md", "D/E/deep", "wiki", "/v/d/e/deep.md"),
        ("/v/a.md", "e/c", "wiki", None),
        ("/v/a.md", "nowhere", "wiki", None),
        ("/v/a.md", "", "wiki", None),
    ],
)
def test_finds_the_note_that_a_link_leads_to(source, target, kind, expected):
    assert LinkResolver(NOTES).resolve(Path(source), target, kind) == (Path(expected) if expected else None)
