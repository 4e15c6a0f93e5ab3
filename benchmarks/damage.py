"""Damages an index in many ways, and counts what was noticed, and whether any command crashed, hung or did not mend it.

python benchmarks/damage.py --damages 500
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

_TEST = Path(__file__).parents[1] / "tests" / "faults" / "test_damage.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=500)
    arguments = parser.parse_args()
    environment = {**os.environ, "NOTESEARCH_DAMAGES": str(arguments.damages)}
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        options = ["-k", "of_the_database", f"--junit-xml={report}", "-o", "junit_family=xunit1"]
        command = [sys.executable, "-m", "pytest", str(_TEST), *options]
        code = subprocess.run(command, env=environment).returncode
        cases = list(ElementTree.parse(report).iter("testcase"))
    counts = Counter(entry.get("value") for case in cases for entry in case.iter("property"))
    failed = sum(case.find("failure") is not None for case in cases)
    print(
        f"{len(cases)} damages: {', '.join(f'{count} {name}' for name, count in counts.most_common())}; {failed} failed"
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
