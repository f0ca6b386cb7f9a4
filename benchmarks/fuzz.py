"""Every reader of jaxllc on damaged and odd inputs: nothing but InputError or a valid result may come.

    python benchmarks/fuzz.py                              every reader, 1e5 cases or, for the dear ones, 1e4
    python benchmarks/fuzz.py --seconds 60 --jobs 2        a minute, shared out among the readers
    python benchmarks/fuzz.py --readers law,model --cases 1000 --seed 7
    python benchmarks/fuzz.py --readers law --case 123     one case again, with its traceback

A case is a failure where anything but InputError is raised, a result is not what the input says, a message is
longer than a person reads, or it takes more than 5 s of processor time or 2 GB. Case n of a reader and seed
is always the same. Each reader runs in a process of its own: one that dies or hangs is a failure of its case.
The first case of each kind of failure is made small and kept in the folder `--save`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for `python -m benchmarks.fuzz`

from fuzzing.judge import Failure
from fuzzing.reader import written
from fuzzing.worker import READERS, Found, case_of

# A process whose case takes so much of the processor, or of time, is ended.
_HANG_SECONDS, _HANG_WALL = 30.0, 300.0
_BATCH = 20_000


def main() -> int:
    """Run what the command line asks for; exit code 1 where a case failed."""
    options = _options()
    if options.case is not None:
        return _again(options)
    names = options.readers or list(READERS)
    end = time.monotonic() + options.seconds if options.seconds else float("inf")
    results, waiting = [], len(names)

    def fuzz(name: str) -> dict[str, Any]:
        nonlocal waiting
        share = (end - time.monotonic()) * options.jobs / max(1, waiting)
        waiting -= 1
        result = _fuzzed(name, options, min(end, time.monotonic() + share))
        print(_row(result), flush=True)
        return result

    print(
        f"{'reader':20s} {'cases':>7s} {'read':>6s} {'cpu s':>7s} {'slowest':>8s} {'MB':>5s} failures"
    )
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(fuzz, names))
    if options.json:
        text = json.dumps({"seed": options.seed, "readers": results}, indent=1)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    cases = sum(result["cases"] for result in results)
    failures = sum(row["count"] for result in results for row in result["failures"])
    print(f"fuzz: {cases} cases, {failures} failures")
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--readers", type=_names, help="names, with commas; --readers list prints them"
    )
    parser.add_argument("--cases", type=int, help="cases of each reader")
    parser.add_argument("--seconds", type=float, help="time for all together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="run this case again and show what it does")
    parser.add_argument("--jobs", type=int, default=1, help="readers at a time")
    parser.add_argument("--json", help="file for the counts and failures")
    parser.add_argument(
        "--save",
        type=Path,
        default=Path(tempfile.gettempdir()) / "jaxllc_fuzz_failures",
        help="folder for cases that failed",
    )
    return parser.parse_args()


def _names(text: str) -> list[str]:
    if text == "list":
        print("\n".join(f"{reader.name} {reader.cases}" for reader in READERS.values()))
        raise SystemExit(0)
    names = text.split(",")
    unknown = [name for name in names if name not in READERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no reader {unknown}; there are {', '.join(READERS)}")
    return names


def _again(options: argparse.Namespace) -> int:
    for name in options.readers or list(READERS):
        with tempfile.TemporaryDirectory() as folder:
            case = case_of(READERS[name], options.seed, options.case)
            print(name, {key: repr(value)[:2000] for key, value in case.items()})
            print(READERS[name].read(written(case, Path(folder))))
    return 0


def _fuzzed(name: str, options: argparse.Namespace, end: float) -> dict[str, Any]:
    """The counts and failures of one reader, by as many processes as it takes."""
    result: dict[str, Any] = {"reader": name, "cases": 0, "accepted": 0, "seconds": 0.0}
    result |= {"slowest": 0.0, "megabytes": 0.0, "failures": []}
    kinds: dict[tuple[str, str], dict[str, Any]] = {}
    start = options.first
    stop = start + (options.cases or READERS[name].cases)
    while start < stop and time.monotonic() < end:
        for number, found, counts in _batch(
            name, options.seed, start, min(stop, start + _BATCH), end
        ):
            start = number + 1
            _add_counts(result, counts)
            for one in found:
                _add_failure(kinds, one, name, options)
    result["failures"] = sorted(kinds.values(), key=lambda row: -row["count"])
    return result


def _batch(
    name: str, seed: int, start: int, stop: int, end: float
) -> Iterator[tuple[int, list[Found], dict[str, Any]]]:
    """What a process of its own tells: the number of its last case, failures, and counts of this batch."""
    context = multiprocessing.get_context("spawn")
    at, (here, there) = context.Value("q", start, lock=False), context.Pipe(duplex=False)
    from fuzzing.worker import work

    process = context.Process(
        target=work, args=(name, seed, start, stop, end, at, there), daemon=True
    )
    process.start()
    there.close()
    last, clock = start, _Clock(process.pid)
    done, counts = False, {}
    try:
        while not done:
            try:
                told = here.recv() if here.poll(0.2) else None
            except EOFError:
                break
            if told == "done":
                done = True
            elif told is not None:
                counts = told[2]
                yield told
            if at.value != last:
                last = at.value
                clock.restart()
            elif clock.is_over():
                process.kill()
                break
        process.join()
        if not done:
            code = process.exitcode
            kind = "hang" if clock.is_over() else f"died with {code}"
            lost = Found(
                Failure(kind, name, f"exit code {code}"),
                at.value,
                case_of(READERS[name], seed, at.value),
            )
            counts = {
                "cases": at.value - start + 1,
                "accepted": 0,
                "seconds": 0.0,
                "slowest": 0.0,
                "megabytes": 0.0,
            } | {key: value for key, value in counts.items() if key != "cases"}
            yield at.value, [lost], counts
    finally:
        if process.is_alive():
            process.kill()
        process.join()


class _Clock:
    """Processor time and time that a process has spent since the last restart."""

    def __init__(self, pid: int | None):
        self._stat = Path(f"/proc/{pid}/stat")
        self.restart()

    def _processor(self) -> float:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def restart(self) -> None:
        self._start, self._began = self._processor(), time.monotonic()

    def is_over(self) -> bool:
        spent = self._processor() - self._start
        return spent > _HANG_SECONDS or time.monotonic() - self._began > _HANG_WALL


def _add_counts(result: dict[str, Any], counts: dict[str, Any]) -> None:
    """Counts of a batch grow; those of the batches before stand beside."""
    before = result.setdefault("_before", dict.fromkeys(("cases", "accepted", "seconds"), 0))
    now = result.setdefault("_now", dict(before))
    if counts["cases"] < now["cases"]:  # another process has begun
        for key in before:
            before[key] += now[key]
    for key in before:
        now[key] = counts[key]
        result[key] = before[key] + now[key]
    for key in ("slowest", "megabytes"):
        result[key] = max(result[key], counts[key])


def _add_failure(
    kinds: dict[tuple[str, str], dict[str, Any]], one: Found, name: str, options: argparse.Namespace
) -> None:
    row = kinds.get(one.failure[:2])
    if row is not None:
        row["count"] += 1
        return
    folder = options.save / f"{name}_{options.seed}_{one.number}"
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in (one.case or {}).items():
        content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "replace")
        (folder / key).write_bytes(content)
    kinds[one.failure[:2]] = {"count": 1, "case": one.number, "folder": str(folder)}
    kinds[one.failure[:2]] |= one.failure._asdict()


def _row(result: dict[str, Any]) -> str:
    for key in ("_before", "_now"):
        result.pop(key, None)
    cases, failures = result["cases"], result["failures"]
    share = 100 * result["accepted"] / cases if cases else 0
    head = (
        f"{result['reader']:20s} {cases:7d} {share:5.1f}% {result['seconds']:7.1f} {result['slowest']:8.2f} "
        f"{result['megabytes']:5.0f} {sum(row['count'] for row in failures)}"
    )
    lines = [
        f"    {row['count']} x {row['kind']} in {row['where']}: {row['message'][:120]!r}; "
        f"case {row['case']}, kept in {row['folder']}"
        for row in failures
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    raise SystemExit(main())
