"""How a long command ends when it is told to: in order, and with the word on how to go on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of a command that a signal ended before its study had."""

_WITNESS = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    sys.stderr.write(sys.argv[1] + "\\n")
"""


class Interrupted(Exception):
    """A signal asked the command to end."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raises `Interrupted` where SIGINT, SIGTERM or SIGHUP ends the `with` block.

    All go the way of SIGINT, which Tune answers by ending its trials in order. A signal that is ignored, as under
    nohup, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        raise Interrupted from end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Calls what answers SIGINT: the signal itself is blocked in a job of Ray, and ignored in a shell's background."""
    answer = signal.getsignal(signal.SIGINT)
    if not callable(answer):
        raise KeyboardInterrupt
    answer(signal.SIGINT, frame)


@contextmanager
def last_words(words: str) -> Iterator[None]:
    """Has `words` written to stderr if this process ends inside the `with` block without leaving it.

    It may be killed, and Ray ends it where the head of its cluster is gone. A small process of its own waits at the
    other end of a pipe; leaving the block, also by an exception, sends it away.
    """
    witness = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WITNESS, words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert witness.stdin is not None
    try:
        yield
    finally:
        try:
            witness.stdin.write(b"left")
            witness.stdin.close()
        except BrokenPipeError:  # somebody ended the witness
            pass
        witness.wait()
