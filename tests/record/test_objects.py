"""What is particular to homes in object stores: addresses, refusals, a store that is away, the folder beside it."""

import contextlib
import random
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpstudy.exceptions import InputError
from hpstudy.record import ObjectPath, StudyFolder, home_folder, place_of, upload_folder, workplace


def test_an_address_is_one_however_it_is_spelt() -> None:
    place = ObjectPath("s3://bucket//a/b/?region=eu-west-1")
    assert str(place / "c/d") == "s3://bucket/a/b/c/d?region=eu-west-1"
    assert (place / "c").parent == place == place_of(str(place))
    assert (place.name, ObjectPath("s3://bucket").name) == ("b", "bucket")


def test_a_report_is_replaced_as_a_whole(bucket: str, tmp_path: Path) -> None:
    place = ObjectPath(f"{bucket}/report")
    for content in ({"report.pdf": "1", "figures/old.svg": "1"}, {"report.pdf": "2", "tables/a.csv": ""}):
        local = tmp_path / content["report.pdf"]
        for name, text in content.items():
            (local / name).parent.mkdir(parents=True, exist_ok=True)
            (local / name).write_text(text)
        upload_folder(local, place)
    assert {str(path).removeprefix(f"{place}/"): path.read_text() for path in place.below()} == content


def test_the_workplace_of_an_address_is_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert workplace(tmp_path / "home") == tmp_path / "home"
    places = {workplace(ObjectPath(uri)) for uri in ("s3://b/a-b", "s3://b/a/b", "gs://b/a/b")}
    assert len(places) == 3
    assert {place.parent for place in places} == {tmp_path / "hpstudy"}
    folder = StudyFolder("s3://b/a", "toy")
    assert folder.report == folder.workplace / "toy" / "report"
    assert folder.datasets == folder.workplace / "datasets"
    assert folder.free_bytes() is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert workplace(ObjectPath("s3://b/a")).parent == tmp_path / ".cache" / "hpstudy"


def test_a_study_of_another_home_is_named_by_its_folder(tmp_path: Path) -> None:
    assert StudyFolder("s3://b/a", str(tmp_path / "toy")).path == tmp_path / "toy"
    other = StudyFolder(tmp_path, "s3://b/a/toy")
    assert other.path == StudyFolder("s3://b/a", "toy").path
    assert other.report == StudyFolder("s3://b/a", "toy").report


def test_a_bucket_that_is_not_there_is_refused_in_one_line(bucket: str) -> None:
    assert str(home_folder(f"{bucket}/home")) == f"{bucket}/home"
    with pytest.raises(InputError, match="can't be used: there is no bucket 'no-such-bucket'; make it first") as caught:
        home_folder("s3://no-such-bucket/home")
    assert "\n" not in str(caught.value)


class _Forbidding(BaseHTTPRequestHandler):
    """A store that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    do_HEAD = do_PUT = do_GET

    def log_message(self, *arguments: object) -> None: ...


def test_a_store_that_lets_nobody_in_is_refused_at_once(bucket: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        home = f"{bucket}/home?scheme=http&endpoint_override=127.0.0.1:{server.server_port}"
        begun = time.monotonic()
        try:
            with pytest.raises(InputError, match=r"can't be used: .*ACCESS_DENIED") as caught:
                home_folder(home)
        finally:
            server.shutdown()
            serving.join()
    assert time.monotonic() - begun < 5, "a refusal is not waited out"
    assert "\n" not in str(caught.value)


def test_google_storage_is_opened_only_when_it_is_asked(objects: ModuleType) -> None:
    port = objects.free_port()
    home = f"gs://anonymous@bucket/home?scheme=http&endpoint_override=127.0.0.1:{port}&retry_limit_seconds=0.2"
    folder = StudyFolder(home, "toy")
    assert str(folder.path).startswith("gs://anonymous@bucket/home/toy?")
    with pytest.raises(OSError, match="UNAVAILABLE") as caught:
        folder.home._ask(lambda store: store.get_file_info("bucket/home"), patience_s=0.1)  # type: ignore[union-attr]
    assert caught.value.filename == home
    assert "\n" not in caught.value.strerror


def test_a_store_that_is_away_for_a_while_costs_only_time(
    bucket: str, s3: Any, objects: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = objects.Line(s3.port)
    line.mend()
    place = ObjectPath(f"{bucket}/home/file?scheme=http&endpoint_override=127.0.0.1:{line.port}")
    place.write(lambda path: path.write_text("before"))
    line.cut()
    mending = threading.Timer(3.0, line.mend)
    begun = time.monotonic()
    mending.start()
    place.write(lambda path: path.write_text("after"))
    assert time.monotonic() - begun > 2.5
    assert place.read_text() == "after"
    line.cut()
    with pytest.raises(OSError, match="NETWORK_CONNECTION") as caught:
        place._ask(lambda store: store.get_file_info(place._key), patience_s=0.5)
    assert caught.value.filename == str(place)
    mending.join()


def test_an_upload_that_a_signal_cuts_off_leaves_the_object_whole(bucket: str, tmp_path: Path) -> None:
    """Ctrl-C may strike at any instruction of a put."""
    place, texts = ObjectPath(f"{bucket}/whole"), (b"a" * 4096, b"b" * 4096)
    for name, text in zip("ab", texts, strict=True):
        (tmp_path / name).write_bytes(text)
    place.upload(tmp_path / "a")

    def strike(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before, draw = signal.signal(signal.SIGALRM, strike), random.Random(0)
    try:
        for turn in range(600):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0002, 0.004))
                place.upload(tmp_path / "ab"[turn % 2])
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert place.read_bytes() in texts
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
