"""Files in an object store, S3 or Google Cloud Storage, reached through pyarrow."""

import errno
import functools
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyarrow as pa

from hpstudy.exceptions import InputError

_SCHEMES = ("s3", "gs")
_DEFAULTS = {"s3": {"allow_delayed_open": "true"}, "gs": {"retry_limit_seconds": "10"}}
"""S3: a small object is one request, not the three of a multipart upload. Google: as patient as S3's own retries."""

_PATIENCE_S = 60.0
_LONGEST_DELAY_S = 5.0
_HOPELESS = re.compile(
    r"ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH|"
    r"MISSING_AUTHENTICATION_TOKEN|INVALID_SIGNATURE|UNRECOGNIZED_CLIENT|EXPIRED_TOKEN|HTTP status 40[13]|"
    r"PERMISSION_DENIED|UNAUTHENTICATED|OAuth2 access token"
)
_AT_A_TIME = 16
_T = TypeVar("_T")
_Asked = TypeVar("_Asked")


class ObjectPath:
    """The address of an object, or of all objects below a name, in the words of `pathlib.Path` that the record uses.

    An object is replaced whole or not at all. A store that is away or slow is asked again for a minute; what it then
    still refuses, or refuses for good, is an OSError that names the address.

    Args:
        uri: `s3://bucket/name` or `gs://bucket/name`; options of pyarrow's file systems may follow a `?`.

    Raises:
        InputError: the scheme is unknown, the bucket is missing, or a password stands in the address.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        if parts.scheme not in _SCHEMES:
            known = " and ".join(f"{scheme}://" for scheme in _SCHEMES)
            raise InputError(f"the home of studies is a folder or an address with {known}, but got {uri!r}")
        if ":" in parts.netloc.rpartition("@")[0]:
            shown = parts.netloc.rpartition("@")[2]
            raise InputError(f"credentials come from the environment, not from the address of {parts.scheme}://{shown}")
        if not parts.hostname:
            raise InputError(f"an address names a bucket, {parts.scheme}://bucket/name, but got {uri!r}")
        self._scheme, self._netloc, self._query = parts.scheme, parts.netloc, parts.query
        self.parts = tuple(part for part in parts.path.split("/") if part)

    def __str__(self) -> str:
        address = "/".join([f"{self._scheme}://{self._netloc}", *self.parts])
        return f"{address}?{self._query}" if self._query else address

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return (ObjectPath, (str(self),))

    def __truediv__(self, name: str) -> "ObjectPath":
        return self._at((*self.parts, *(part for part in name.split("/") if part)))

    @property
    def name(self) -> str:
        """The last part, of a bucket itself its name."""
        return self.parts[-1] if self.parts else self._bucket

    @property
    def parent(self) -> "ObjectPath":
        """What it lies in."""
        return self._at(self.parts[:-1])

    def resolve(self) -> "ObjectPath":
        """Itself: an object has one address."""
        return self

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        from pyarrow.fs import FileType

        return bool(self._ask(lambda store: store.get_file_info(self._key)).type == FileType.File)

    exists = is_file

    def read_bytes(self) -> bytes:
        """The object's content.

        Raises:
            FileNotFoundError: there is none.
        """

        def read(store: Any) -> bytes:
            with store.open_input_file(self._key) as file:
                return bytes(file.read())

        return self._ask(read)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The object's content as text."""
        return self.read_bytes().decode(encoding)

    def write(self, write: Callable[[Path], object]) -> None:
        """Replaces the object by what `write` leaves at the local path it is given."""
        with tempfile.TemporaryDirectory(prefix="hpstudy-object-") as folder:
            local = Path(folder) / self.name
            write(local)
            self.upload(local)

    def upload(self, local: Path) -> None:
        """Replaces the object by the content of a local file."""
        from pyarrow.fs import LocalFileSystem, copy_files

        # Not a stream of our own: closing one where a signal is raised in between publishes what it has got so far.
        self._ask(lambda store: copy_files(str(local), self._key, LocalFileSystem(), store))

    def download(self, local: Path) -> Path:
        """Copies the object to a local file, whose folder is made."""
        content = self.read_bytes()
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(content)
        return local

    def below(self) -> list["ObjectPath"]:
        """All objects below this name, at any depth, sorted; one listing."""
        return sorted(self._listed(recursive=True, folders=False), key=lambda path: path.parts)

    def files(self) -> list["ObjectPath"]:
        """The objects directly below this name, sorted."""
        return sorted(self._listed(recursive=False, folders=False), key=lambda path: path.parts)

    def modified_times(self) -> dict[str, float]:
        """The objects directly below this name and when each was written, in seconds."""
        from pyarrow.fs import FileType

        return {info.base_name: info.mtime_ns / 1e9 for info in self._infos() if info.type == FileType.File}

    def folders(self) -> list["ObjectPath"]:
        """The names directly below this one that have objects below them, sorted."""
        return sorted(self._listed(recursive=False, folders=True), key=lambda path: path.parts)

    def unlink(self) -> None:
        """Drops the object, if there is one."""

        def drop(store: Any) -> None:
            try:
                store.delete_file(self._key)
            except FileNotFoundError:  # also where the answer to an earlier request was lost
                return

        self._ask(drop)

    def remove_all(self) -> None:
        """Drops all objects below this name."""

        def drop(store: Any) -> None:
            try:
                store.delete_dir(self._key)
            except FileNotFoundError:
                return

        self._ask(drop)

    def check(self) -> None:
        """Looks whether the store can be used; nothing is written.

        Raises:
            InputError: there is no such bucket, access is denied, or the store doesn't answer within ten seconds.
        """
        from pyarrow.fs import FileSelector, FileType

        def look(store: Any) -> bool:
            found = store.get_file_info(FileSelector(self._key, allow_not_found=True))
            return bool(found) or store.get_file_info(self._bucket).type != FileType.NotFound

        try:
            there = self._ask(look, patience_s=10.0)
        except OSError as error:
            raise InputError(f"the home {self} can't be used: {error.strerror}") from error
        if not there:
            raise InputError(f"the home {self} can't be used: there is no bucket {self._bucket!r}; make it first")

    @property
    def _bucket(self) -> str:
        return self._netloc.rpartition("@")[2]

    @property
    def _key(self) -> str:
        return "/".join([self._bucket, *self.parts])

    def _at(self, parts: Iterable[str]) -> "ObjectPath":
        other = object.__new__(ObjectPath)
        other._scheme, other._netloc, other._query = self._scheme, self._netloc, self._query
        other.parts = tuple(parts)
        return other

    def _listed(self, *, recursive: bool, folders: bool) -> list["ObjectPath"]:
        from pyarrow.fs import FileType

        wanted = FileType.Directory if folders else FileType.File
        found = self._infos(recursive=recursive)
        return [self._at(info.path.split("/")[1:]) for info in found if info.type == wanted]

    def _infos(self, *, recursive: bool = False) -> list[Any]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._key, allow_not_found=True, recursive=recursive)
        return list(self._ask(lambda store: store.get_file_info(selector)))

    def _ask(self, act: Callable[[Any], _T], patience_s: float = _PATIENCE_S) -> _T:
        """What the store answers, asked again with growing pauses while it is away.

        Raises:
            FileNotFoundError: there is no such object.
            OSError: the store refuses, or is away for longer than `patience_s`; with a reason of one line.
        """
        deadline, delay = time.monotonic() + patience_s, 0.1
        while True:
            try:
                return act(_store(self._scheme, self._netloc, self._query))
            except FileNotFoundError as error:
                raise FileNotFoundError(errno.ENOENT, "there is no such object", str(self)) from error
            except (OSError, pa.ArrowException) as error:
                refused = isinstance(error, PermissionError) or _HOPELESS.search(str(error)) is not None
                if refused or time.monotonic() + delay > deadline:
                    raise OSError(errno.EACCES if refused else errno.EIO, _reason(error), str(self)) from error
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)


def read_many(paths: Iterable[_Asked], read: Callable[[_Asked], _T]) -> list[_T]:
    """`read` of every path, in order, several at a time: each waits for the network most of its time."""
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="hpstudy-objects") as pool:
        return list(pool.map(read, paths))


@functools.cache
def _store(scheme: str, netloc: str, query: str) -> Any:
    """The file system of a bucket; one a process."""
    from pyarrow.fs import FileSystem

    options = _DEFAULTS[scheme] | dict(parse_qsl(query))
    return FileSystem.from_uri(f"{scheme}://{netloc}?{urlencode(options)}")[0]


def _reason(error: BaseException) -> str:
    """The error's first line, without the request's number."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s*\(Request ID.*|\s*error_info=.*", "", first)[:300].rstrip(" .")
