"""A session that was lost with its server or its link: looked for until it is back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from flexavatar.errors import FlexAvatarError, SessionNotFoundError
from plugin_server.errors import ConnectionLostError, StoppingError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.shutdown import STOPS

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""A server that is not back by then is given up."""
RETRY_S = 0.25


def is_lost(error: Exception) -> bool:
    """Whether an error says that the server or the way to it is gone, not that it refuses."""
    stopped = isinstance(error, SessionNotFoundError) and STOPS in str(error)
    return stopped or isinstance(error, ConnectionLostError | StoppingError)


class Recovery:
    """Takes a session up again, on a thread of its own."""

    def __init__(self, resume: Callable[[], pb.Session], lost: Exception) -> None:
        """`resume` is tried until it gives the session, or raises what is no loss."""
        self.over = threading.Event()
        self.error: Exception | None = None
        """Why it was given up, if it was."""
        self.session: pb.Session | None = None
        self._resume, self._given_up = resume, threading.Event()
        logger.warning("the server is lost, and looked for: %s", lost)
        threading.Thread(target=self._run, name="recovery", daemon=True).start()

    def give_up(self) -> None:
        """Look no longer."""
        self._given_up.set()

    def _run(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        try:
            while self.session is None:
                self._try(deadline)
            logger.info("session %s goes on", self.session.session_id)
        except Exception as error:  # raised by the next call of its user
            self.error = error
        finally:
            self.over.set()

    def _try(self, deadline: float) -> None:
        """Raises what is no loss, and the loss itself when it has lasted too long."""
        try:
            self.session = self._resume()
        except FlexAvatarError as error:
            over = self._given_up.wait(RETRY_S) or time.monotonic() > deadline
            if over or not is_lost(error):
                raise
