"""Being told to stop, without a step cut in half."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C; a batch system that takes the machine back; a terminal that was closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """While active, the first of SIGNALS is only noted; the next one of its kind does what it always did."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may handle signals
        return
    noted = threading.Event()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        noted.set()
        signal.signal(number, before[number])

    for number in SIGNALS:
        # Under nohup a closed terminal is to change nothing. A shell's background job ignores Ctrl-C too, but
        # is to stop when somebody sends it that signal.
        if signal.Signals(number).name != "SIGHUP" or before[number] is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield noted.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
