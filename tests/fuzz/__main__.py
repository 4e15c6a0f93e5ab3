"""Runs all targets under libFuzzer and prints what they did: `python -m tests.fuzz [--seconds N] [TARGET…]`.

Needs atheris: `pip install atheris`. An input that fails is put into the target's corpus, so that the tests replay it.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TARGETS = ("front_matter", "markdown", "tag_edit", "query")
_MOST_SECONDS_PER_INPUT = 10
_MOST_MEGABYTES = 2048
_MOST_BYTES = 4096


def main() -> int:
    """Returns how many targets failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (default: 600)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=TARGETS, help=", ".join(TARGETS))
    options = parser.parse_args()
    failed = 0
    print(f"{'target':<14} {'executions':>10} {'coverage':>8} {'features':>8} {'slowest':>9}  outcome", flush=True)
    for target in options.targets:
        failed += not _run(target, options.seconds // len(options.targets))
    return failed


def _run(target: str, seconds: int) -> bool:
    """Fuzzes one target; says whether all went well."""
    with tempfile.TemporaryDirectory(prefix="notesearch-fuzz-") as found:
        command = [sys.executable, "-m", "tests.fuzz.engine", target, found, str(CORPUS / target)]
        command += [f"-max_total_time={seconds}", f"-timeout={_MOST_SECONDS_PER_INPUT}", f"-max_len={_MOST_BYTES}"]
        command += [f"-rss_limit_mb={_MOST_MEGABYTES}", f"-artifact_prefix={CORPUS / target}/", "-print_final_stats=1"]
        process = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    log = process.stderr + process.stdout
    executions = _last(r"stat::number_of_executed_units:\s+(\d+)", log) or _last(r"#(\d+)\t", log)
    row = (target, executions, _last(r"cov: (\d+)", log), _last(r"ft: (\d+)", log), _last(r"slowest: ([\d.]+ ms)", log))
    outcome = "ok" if process.returncode == 0 else f"FAILED ({process.returncode})"
    print(f"{row[0]:<14} {row[1]:>10} {row[2]:>8} {row[3]:>8} {row[4]:>9}  {outcome}", flush=True)
    if process.returncode:
        print(log[-6000:])
    return process.returncode == 0


def _last(pattern: str, log: str) -> str:
    return ["", *re.findall(pattern, log)][-1]


if __name__ == "__main__":
    sys.exit(main())
