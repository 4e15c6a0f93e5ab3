#!/bin/sh
# python-frontmatter 1.3.0, PyYAML 6.0.3
#
# A note may begin with a horizontal rule, a sentence and another rule. YAML reads the sentence as one string, so it is
# no metadata. One would guess that the library leaves such a text as it is, or raises an error.
#
# It says that the text has front matter, and drops the sentence: it is neither in `metadata` nor in `content`, and
# `dumps` writes the note without it. The same happens to a list between two rules.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-frontmatter==1.3.0 PyYAML==6.0.3
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import frontmatter

for block in ("The lamp is broken.", "- oil\n- wick"):
    note = f"---\n{block}\n---\nBuy a new one.\n"
    post = frontmatter.loads(note)
    print(frontmatter.checks(note), post.metadata, repr(post.content), repr(frontmatter.dumps(post)))
PYTHON
cat > "$folder/expected" <<'SEEN'
True {} 'Buy a new one.' '---\n{}\n---\n\nBuy a new one.'
True {} 'Buy a new one.' '---\n{}\n---\n\nBuy a new one.'
SEEN
diff "$folder/expected" "$folder/seen"
