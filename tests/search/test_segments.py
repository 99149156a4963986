"""Optuna's journal in segments: what was appended is there, in order, also for the next driver."""

import json

import optuna
import pytest
from optuna.storages import JournalStorage

from hpstudy.record import files_in, place_of
from hpstudy.search._segments import SegmentedJournal


def test_logs_are_read_back_in_order_over_many_segments(any_home: str) -> None:
    place = place_of(any_home) / "journal"
    journal = SegmentedJournal(place, segment_bytes=200)
    for i in range(0, 30, 3):
        journal.append_logs([{"op": j, "text": "θ" * 5} for j in range(i, i + 3)])
        journal.flush()
        assert [log["op"] for log in SegmentedJournal(place).read_logs(0)] == list(range(i + 3))
    again = SegmentedJournal(place, segment_bytes=200)
    again.append_logs([{"op": 30}])
    again.flush()
    assert [log["op"] for log in again.read_logs(27)] == [27, 28, 29, 30]
    assert [path.name for path in files_in(place)] == ["0002-000001.jsonl"], "a generation begins with what was there"
    for i in range(31, 51):
        again.append_logs([{"op": i, "text": "θ" * 5}])
        again.flush()
    segments = files_in(place)
    assert [path.name for path in segments] == [f"0002-{i + 1:06d}.jsonl" for i in range(len(segments))]
    assert len(segments) > 3
    assert all(200 <= len(path.read_bytes()) < 400 for path in segments[1:-1]), "each is rolled over once it is full"
    assert [log["op"] for log in SegmentedJournal(place).read_logs(0)] == list(range(51))


def test_what_a_driver_writes_that_was_taken_over_changes_nothing(any_home: str) -> None:
    place = place_of(any_home) / "journal"
    cut_off = SegmentedJournal(place, segment_bytes=50)
    cut_off.append_logs([{"op": 1}])
    cut_off.flush()
    successor = SegmentedJournal(place)
    successor.append_logs([{"op": 2}])
    successor.flush()
    for late in (98, 99):
        cut_off.append_logs([{"op": late, "text": "x" * 60}])
        cut_off.flush()
    assert len(files_in(place)) > 1, "the late entries are there"
    assert [log["op"] for log in SegmentedJournal(place).read_logs(0)] == [1, 2]
    successor.append_logs([{"op": 3}])
    successor.flush()
    assert [log["op"] for log in SegmentedJournal(place).read_logs(0)] == [1, 2, 3]


def test_a_failed_write_loses_nothing(any_home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(any_home) / "journal"
    journal = SegmentedJournal(place)
    journal.append_logs([{"op": 1}])
    journal.flush()

    def away(*arguments: object) -> None:
        raise OSError("the store is away")

    journal.append_logs([{"op": 2}])
    with monkeypatch.context() as patch:
        patch.setattr("hpstudy.search._segments.write_atomically", away)
        with pytest.raises(OSError, match="away"):
            journal.flush()
    assert [json.loads(line)["op"] for line in files_in(place)[0].read_bytes().splitlines()] == [1]
    journal.append_logs([{"op": 3}])
    journal.flush()
    assert [json.loads(line)["op"] for line in files_in(place)[0].read_bytes().splitlines()] == [1, 2, 3]


def test_optuna_continues_a_search_over_it(any_home: str) -> None:
    place = place_of(any_home) / "journal"

    def search(journal: SegmentedJournal, trials: int) -> optuna.Study:
        study = optuna.create_study(
            storage=JournalStorage(journal),
            study_name="s",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=1),
        )
        study.optimize(lambda trial: trial.suggest_float("s", 2, 64, log=True), n_trials=trials)
        journal.flush()
        return study

    before = search(SegmentedJournal(place, segment_bytes=500), 4)
    after = search(SegmentedJournal(place, segment_bytes=500), 2)
    assert [trial.params for trial in after.trials[:4]] == [trial.params for trial in before.trials]
    assert [trial.state.name for trial in after.trials] == ["COMPLETE"] * 6
