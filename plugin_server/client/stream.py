"""The client's end of one streaming call: requests out, reports in, until one of them stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from plugin_server.errors import translate_errors

POLL_S = 0.1

Request = TypeVar("Request")
Report = TypeVar("Report")
Sent = TypeVar("Sent", covariant=True)


class Mailbox(Protocol[Sent]):
    """Holds what is to be sent."""

    def take(self, timeout: float = 0.0) -> Sent | None:
        """The next, or None if none comes in time."""
        ...


class ClientStream(Generic[Request, Report]):
    """One streaming call with a mailbox of its own: a dead call cannot take the next one's."""

    def __init__(
        self,
        call: Callable[[Iterator[Request]], Iterable[Report]],
        on_report: Callable[[Report], None],
        mailbox: Mailbox[Request],
    ) -> None:
        self.over = threading.Event()
        """Set once the call is over."""
        self.error: Exception | None = None
        """What the call ended with, if not well."""
        self._call, self._on_report = call, on_report
        self._mailbox = mailbox
        self._finishing = threading.Event()
        self._answers: Iterable[Report] = ()
        self._listener = threading.Thread(target=self._listen, name="drive", daemon=True)
        self._listener.start()

    def finish(self, timeout: float) -> None:
        """Send what is left, and wait for the server's last word."""
        self._finishing.set()
        self._listener.join(timeout)

    def cancel(self) -> None:
        """End the call at once."""
        self.over.set()
        getattr(self._answers, "cancel", lambda: None)()
        self._listener.join(POLL_S)

    def _signals(self) -> Iterator[Request]:
        """The requests, on gRPC's own thread, which takes more even after the call has failed."""
        while not self.over.is_set():
            last = self._finishing.is_set()
            if (request := self._mailbox.take(0.0 if last else POLL_S)) is not None:
                yield request
            elif last:
                return

    def _listen(self) -> None:
        """The thread: hands reports on, and keeps the error that the call ends with."""
        try:
            with translate_errors():
                self._answers = self._call(self._signals())
                for report in self._answers:
                    self._on_report(report)
        except Exception as error:  # a bug too: the next call of its user must raise it
            self.error = error
        finally:
            self.over.set()
