"""Notes with metadata in each form that is no front matter in YAML or TOML.

PYTEST_DONT_REWRITE: nothing is asserted here.
"""

from datetime import datetime

NO_DATE = datetime(1970, 1, 1)
ZIM = "Content-Type: text/x-zim-wiki\nWiki-Format: zim 0.6\nCreation-Date: 2020-03-04T10:11:12\n\n"
JOPLIN = f"\n\nid: {'a' * 32}\nparent_id: {'b' * 32}\ncreated_time: 2020-03-04T10:11:12.000Z\ntype_: 1"
DATED = datetime(2020, 3, 4)
READ = [
    # suffix, text, form, tags, title, date
    (
        "md",
        "Title: T\nDate: 2020-03-04 10:11\nTags: a, b c\n\nText",
        "a header of",
        "a|b c",
        "T",
        datetime(2020, 3, 4, 10, 11),
    ),
    ("md", "title: T\ntags: a; b, c\nText at once", "a header of", "a|b, c", "T", NO_DATE),
    ("txt", "Title:    T\nAuthor:   Ada\n  Lovelace\nKeywords: a, b\n\nText", "a header of", "", "T", NO_DATE),
    ("txt", "Title:    T\nBase Header Level: 2\nKeywords: a, b\n\nText", "a header of", "a|b", "T", NO_DATE),
    ("md", "Tags: #a #b\n\n# H", "a header of", "a|b", "H", NO_DATE),
    ("md", "Tags: [[Page|x]], 'q r'\nTags: c\n\n# H", "a header of", "Page|q r|c", "H", NO_DATE),
    ("md", "% T\n  and more\n% Ada\n% 2020-03-04\n\nText", "a pandoc title block", "", "T and more", DATED),
    ("md", "% T\n\nText", "a pandoc title block", "", "T", NO_DATE),
    ("txt", ZIM + "====== T ======\n@a text me@x.org\n", "a Zim header", "a", "T", datetime(2020, 3, 4, 10, 11, 12)),
    (
        "md",
        "<!--\n.. title: T\n.. date: 2020-03-04\n.. tags: a, b c\n-->\n\nText",
        "a Nikola header",
        "a|b c",
        "T",
        DATED,
    ),
    ("rst", ".. title: T\n.. tags: a\n\nText", "a Nikola header", "a", "T", NO_DATE),
    ("org", "#+BEGIN_COMMENT\n.. title: T\n.. tags: a, b\n#+END_COMMENT\nText", "a Nikola header", "a|b", "T", NO_DATE),
    (
        "md",
        '{"Title": "T", "date": "2020-03-04", "tags": ["a", "b c"]}\n\nText',
        "front matter in JSON",
        "a|b c",
        "T",
        DATED,
    ),
    ("md", '\n{"title": "T", "tags": "a, b"}\nText', "front matter in JSON", "a|b", "T", NO_DATE),
    ("md", ';;;\n"title": "T",\n"tags": ["a"]\n;;;\nText', "front matter in JSON", "a", "T", NO_DATE),
    ("md", '"title": "T",\n"tags": ["a"]\n;;;\nText', "front matter in JSON", "a", "T", NO_DATE),
    ("md", '---json\n{"title": "T", "tags": ["a"]}\n---\nText', "front matter whose", "a", "T", NO_DATE),
    ("md", "---yaml\ntitle: T\ntags: [a]\n---\nText", "front matter whose", "a", "T", NO_DATE),
    ("md", "---toml\ntitle = 'T'\ntags = ['a']\n---\nText", "front matter whose", "a", "T", NO_DATE),
    ("md", "---js\n{title: 'T'}\n---\nText", "front matter whose", "", "name", NO_DATE),
    ("md", "title: T\ntags:\n- a\n- b c\n---\nText", "a header that ends", "a|b c", "T", NO_DATE),
    (
        "md",
        "tags:: a, [[b c]], #d, [[e/f]], #[[g h]]\ntitle:: T\n\n- x",
        "page properties",
        "a|b c|d|e/f|g h",
        "T",
        NO_DATE,
    ),
    ("md", "tags:: [[a b]] [[c]]\n\n- x", "page properties", "a b|c", "name", NO_DATE),
    ("md", "type:: book\n\n- x", "page properties", "", "name", NO_DATE),
    (
        "txt",
        "title:      T\ndate:       2020-03-04\ntags:       a b  c\nidentifier: 20200304T101112\n-----------\n\nText",
        *("a Denote header", "a b|c", "T", DATED),
    ),
    ("rst", "T\n==\n\n:date: 2020-03-04\n:Tags: a, b c\n\nText", "docinfo", "a|b c", "T", DATED),
    (
        "rst",
        ".. comment\n   more\n\n==\nT\n==\n:Author: A\n   b\n\n:tags: a,\n  b\n\nText",
        "docinfo",
        "a|b",
        "T",
        NO_DATE,
    ),
    ("rst", ":orphan:\n\nT\n==\n\nText", "docinfo", "", "T", NO_DATE),
    ("txt", "= T\nAda L\n:date: 2020-03-04\n:tags: a, b\n\nText", "an AsciiDoc header", "a|b", "T", DATED),
    (
        "txt",
        "created: 2020-03-04\ntags: a [[b c]]\ntitle: T\ntype: text/vnd.tiddlywiki\n\nText",
        *("a TiddlyWiki header", "a|b c", "T", DATED),
    ),
    (
        "txt",
        "From: a@b\nTo: c@d\nSubject: Re: T\nDate: Wed, 4 Mar 2020 00:00:00\n\nText",
        "a mail header",
        "",
        "Re: T",
        DATED,
    ),
    ("md", "<!-- title: T -->\n<!-- tags: a, b -->\nText", "metadata in a comment", "a|b", "T", NO_DATE),
    ("md", "<!-- ---\ntitle: T\ntags: a\n-->\nText", "metadata in a comment", "a", "T", NO_DATE),
    ("md", '[[!meta title="T"]]\n[[!tag a b]]\nText', "directives of ikiwiki", "a|b", "T", NO_DATE),
    ("txt", '====== T ======\n{{tag>a "b c"}}\n', "tags of DokuWiki", "a|b c", "name", NO_DATE),
    ("md", "%title T\n%date 2020-03-04\nText", "Vimwiki placeholders", "", "T", DATED),
    ("txt", "T\nAda\n2020-03-04\n\n%!target: html\nText", "txt2tags settings", "", "T", DATED),
    ("md", "#+title: T\n#+filetags: :a:b:\nText", "keywords of Org", "a|b", "T", NO_DATE),
    ("md", "T\n\n# H\n\nText" + JOPLIN, "a Joplin trailer", "", "T", None),
    (
        "md",
        "# T\n\nCreated time: March 4, 2020 10:11 PM\nTags: a, b c\n\nText",
        *("properties of Notion", "a|b c", "T", datetime(2020, 3, 4, 22, 11)),
    ),
    ("txt", "title : T\ndate : 2020-03-04\n\nText", "a header of", "", "T", DATED),
    ("md", "Created time: 2020-03-04\n\nText", "a header of", "", "name", DATED),
    ("md", "#!/usr/bin/env pandoc\nText", "a `#!` line", "", "name", NO_DATE),
    ("md", "<!-- -*- mode: markdown -*- -->\nText", "a mode line of Emacs", "", "name", NO_DATE),
    ("md", "Text\n<!-- vim: set ft=markdown: -->\n", "a mode line of Vim", "", "name", NO_DATE),
    ("txt", "<?xml version='1.0'?>\n<a/>", "a declaration", "", "name", NO_DATE),
]
