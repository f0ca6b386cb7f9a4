"""Every reader on damaged and odd input: nothing but InputError or what the input says.

Which inputs depends on the commit alone. `benchmarks/fuzz.py` does the same in large numbers.
"""

import pytest

from tests.benchmark_modules import benchmark_module

worker = benchmark_module("fuzzing.worker")

# Cases of each reader; of those that take a millisecond or more, fewer. Hardly any large file is a right one.
CASES = 500
LARGE = {"large_archives": 1, "large_json": 5, "large_expressions": 20}
FEWER = {"law": 150, "expressions": 200, "tables_together": 150, "weights": 40, "checkpoint": 150}


@pytest.mark.parametrize("name", sorted(worker.READERS.keys() - {"large_tables"}))
def test_a_damaged_or_odd_input_ends_in_a_sentence_or_in_what_it_says(name):
    run = worker.Run(worker.READERS[name], seed=16)
    with worker.work_folder() as folder, worker.strict_process():
        run.warm_up(folder)
        for number in range((FEWER | LARGE).get(name, CASES)):
            run.one(number, folder)
    assert run.accepted > 0 or name in LARGE  # the reader is reached
    told = [
        f"{f.failure}; benchmarks/fuzz.py --readers {name} --seed 16 --case {f.number}"
        for f in run.found
    ]
    assert not told, "\n".join(told[:5])


def test_the_same_case_is_made_again():
    for reader in worker.READERS.values():
        one, other = (worker.case_of(reader, 3, 7) for _ in range(2))
        assert one.keys() == other.keys()
        for name, value in one.items():
            if isinstance(value, bytes | str):
                assert other[name] == value


def test_a_fault_is_seen_and_made_small(tmp_path):
    """A reader that fails on a letter, one that takes too long, one that takes a warning for a result."""
    reader = benchmark_module("fuzzing.reader")
    judge = benchmark_module("fuzzing.judge")

    def read(given):
        text = given["a.txt"].read_bytes()
        if b"q" in text:
            raise KeyError("q")
        return "a z" if b"z" in text else None

    one = reader.Reader("odd", lambda r: {"a.txt": bytes(r.choices(b"abcqz", k=30))}, read)
    run = worker.Run(one, seed=0)
    with worker.strict_process():
        for number in range(5):
            run.one(number, tmp_path)
        slow = reader.Reader("slow", lambda r: {}, lambda given: _spin())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judge, "MOST_SECONDS", 0.05)
            assert "more than" in judge.judged(slow, {}, tmp_path).failure.kind
    assert run.found[0].failure.kind == "KeyError"
    assert run.found[0].case == {"a.txt": b"q"}


def _spin():
    while True:
        sum(range(1000))
