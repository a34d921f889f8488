"""Standard output and error that outlive their reader."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO


class Lasting:
    """A text stream that outlives its reader, and writes as escapes what its encoding cannot hold."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        self._lasting(self._stream.write, text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        self._lasting(self._stream.flush)

    def _lasting(self, method: Callable[..., Any], *arguments: str) -> None:
        try:
            method(*arguments)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # a closed pipe; a terminal that is gone
                raise
            # What the stream still holds goes nowhere as well: Python would stumble over it on leaving.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside, standard output and error are Lasting, where there are any."""
    out, err = (stream and Lasting(stream) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()
