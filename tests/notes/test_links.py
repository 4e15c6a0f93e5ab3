import pytest

from notesearch.notes.links import LinkResolver, rough_name, rough_names

NOTES = [
    *("/v/a.md", "/v/b/c.md", "/v/b/Übung.org", "/v/d/c.md", "/v/d/e/deep.md", "/v/c.d.md", "/v/two.md", "/v/two.org"),
    *("/v/pages/wood___oil.md", "/v/pages/wood%2Fwax.md", "/v/pages/wood.stain.md", "/v/top.md", "/v/d/top.md"),
    *("/v/x y.md", "/v/content/blog/oil.md", "/v/daily.journal.2021.md", "/w/other.md"),
]
NAMES = [("Engine  paper", "/v/a.md"), ("deep", "/v/a.md")]
IDS = {"33-44": "/v/two.org"}


@pytest.mark.parametrize(
    ("source", "target", "kind", "expected"),
    [
        ("/v/a.md", "b/c.md", "relative", "/v/b/c.md"),
        ("/v/d/c.md", "../a.md", "relative", "/v/a.md"),
        ("/v/a.md", "../../../etc/passwd.md", "relative", None),
        ("/v/d/c.md", "b/c.md", "relative", "/v/b/c.md"),  # from the top
        ("/v/d/c.md", "/b/c.md", "relative", "/v/b/c.md"),
        ("/v/d/c.md", "/v/a.md", "relative", "/v/a.md"),
        ("/v/a.md", "DEEP.md", "relative", "/v/d/e/deep.md"),  # by shortest path
        ("/v/a.html", "deep.md", "relative", None),  # which no web page means
        ("/v/a.md", "b/c", "relative", "/v/b/c.md"),
        ("/v/a.md", "b/c/", "relative", "/v/b/c.md"),
        ("/v/a.md", "/blog/oil.md", "relative", "/v/content/blog/oil.md"),
        ("/v/a.md", "../blog/oil.md", "relative", None),
        ("/v/a.md", "x y", "relative", "/v/x y.md"),
        ("/v/a.md", "deep", "wiki", "/v/d/e/deep.md"),  # a file goes before an alias
        ("/v/a.md", "DEEP.MD", "wiki", "/v/d/e/deep.md"),
        ("/v/a.md", "u\u0308bung", "wiki", "/v/b/Übung.org"),
        ("/v/a.md", "c.d", "wiki", "/v/c.d.md"),
        ("/v/a.md", "c", "wiki", "/v/b/c.md"),  # of two as deep, the first
        ("/v/d/x.md", "c", "wiki", "/v/d/c.md"),  # of two, the one beside the source
        ("/v/d/x.md", "top", "wiki", "/v/top.md"),  # but so Obsidian writes links to what is at the top
        ("/v/a.md", "d/c", "wiki", "/v/d/c.md"),
        ("/v/a.md", "D/E/deep", "wiki", "/v/d/e/deep.md"),
        ("/v/d/c.md", "../a", "wiki", "/v/a.md"),
        ("/v/a.md", "e/c", "wiki", None),
        ("/v/a.md", "two", "wiki", "/v/two.md"),
        ("/v/b/Übung.org", "two", "wiki", "/v/two.org"),
        ("/v/a.md", "two.org", "wiki", "/v/two.org"),
        ("/v/a.md", "wood/oil", "wiki", "/v/pages/wood___oil.md"),
        ("/v/a.md", "Wood/Wax", "wiki", "/v/pages/wood%2Fwax.md"),
        ("/v/a.md", "wood/stain", "wiki", "/v/pages/wood.stain.md"),
        ("/v/a.md", "daily.journal.2021", "wiki", "/v/daily.journal.2021.md"),
        ("/v/a.md", "engine paper", "wiki", "/v/a.md"),
        ("/v/a.md", "nowhere", "wiki", None),
        ("/v/a.md", "", "wiki", None),
        ("/v/a.md", "33-44", "id", "/v/two.org"),
    ],
)
def test_finds_the_note_that_a_link_leads_to(source: str, target: str, kind: str, expected: str | None) -> None:
    resolver = LinkResolver(NOTES, ids=IDS, names=NAMES, roots=["/v", "/w"])
    assert resolver.resolve(source, target, kind) == expected  # type: ignore[arg-type]
    if expected and kind != "id":
        assert rough_name(target) in rough_names(expected, [name for name, path in NAMES if path == expected])
