"""The client's end of one Drive call: signals out, reports in, until one of them stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from flexavatar.errors import FlexAvatarError
from plugin_server.latest import Latest
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.status import our_errors

Call = Callable[[Iterator[pb.DriveRequest]], Iterable[pb.DriveResponse]]
POLL_S = 0.1


class ClientStream:
    """One stream with a mailbox of its own, so that a dead one cannot take the next one's."""

    def __init__(self, call: Call, on_report: Callable[[pb.DriveResponse], None]) -> None:
        self.over = threading.Event()
        """Set once nothing is sent or received any more."""
        self.error: FlexAvatarError | None = None
        """What it ended with, if not well."""
        self._call, self._on_report = call, on_report
        self._mailbox: Latest[pb.DriveRequest] = Latest()
        self._finishing = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="drive", daemon=True)
        self._listener.start()

    def put(self, request: pb.DriveRequest) -> None:
        """Send this next, in place of one that is not sent yet."""
        self._mailbox.put(request)

    def finish(self, timeout: float) -> None:
        """Send what is left, and wait for the server's last word."""
        self._finishing.set()
        self._listener.join(timeout)

    def _signals(self) -> Iterator[pb.DriveRequest]:
        """What gRPC's own thread sends: it would ask for more even after the call has failed."""
        while not self.over.is_set():
            last = self._finishing.is_set()
            if (request := self._mailbox.take(0.0 if last else POLL_S)) is not None:
                yield request
            elif last:
                return

    def _listen(self) -> None:
        """The stream's thread: hands reports on, and keeps the error if it ends with one."""
        try:
            with our_errors():
                for report in self._call(self._signals()):
                    self._on_report(report)
        except FlexAvatarError as error:
            self.error = error
        finally:
            self.over.set()
