"""The sessions of a server: their owners, names and ends."""

from __future__ import annotations

import base64
import hmac
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flexavatar.errors import BusyError, ConflictError, InputError, SessionNotFoundError
from plugin_server.engine import Engine, Puppet
from plugin_server.errors import OwnerError
from plugin_server.frameloop import FrameLoop
from plugin_server.frames import FrameWriter, StreamPlan
from plugin_server.latest import Latest
from plugin_server.publisher import Publisher
from plugin_server.quotas import Quotas
from plugin_server.security import KeyPair
from plugin_server.session import USUAL_FPS, Session, View

logger = logging.getLogger(__name__)

LONGEST_NAME = 64
SESSION_ID = re.compile("[0-9a-f]{16}")
REMEMBERED = 256
"""Ended sessions whose reason is still told to their owners."""


@dataclass(frozen=True)
class OwnedSession:
    """A session, and the secrets that only its owner gets."""

    session: Session
    token: str
    frame_keys: KeyPair | None
    """The owner's, if frames are encrypted."""
    reader_keys: KeyPair | None
    """Those of who finds it by its name."""
    name: str
    """Under which it can be found; empty if it cannot."""
    client: str = ""
    """Who started it; empty if the server itself did."""


class Sessions:
    """The sessions of one server; used from its event loop only."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        frame_loop: FrameLoop,
        limit: int,
        max_load: float,
        quotas: Quotas,
        worker: int = 0,
    ) -> None:
        """The quotas' secret outlives the server: whose a session is can still be told then."""
        self._engine, self._publisher, self._loop = engine, publisher, frame_loop
        self.limit, self._quotas, self._worker = limit, quotas, worker
        self._starting: list[str] = []  # their clients
        self._replaced = 0
        self._max_load, self._secret = max_load, quotas.secret
        self._running: dict[str, OwnedSession] = {}
        self._ended: OrderedDict[str, tuple[str, str]] = OrderedDict()  # token, reason

    def running(self) -> list[Session]:
        """Those that have not ended."""
        for owned in list(self._running.values()):
            session = owned.session
            if session.end_reason is not None:
                del self._running[session.session_id]
                _log(
                    "ended after %d frames: %s", session, session.last_frame.seq, session.end_reason
                )
                self._replaced += session.mailbox.replaced
                self._ended[session.session_id] = owned.token, session.end_reason
                if self._publisher.keys:
                    self._publisher.keys.revoke(session.session_id)
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        return [owned.session for owned in self._running.values()]

    @contextmanager
    def place(self, plan: StreamPlan, client: str = "") -> Iterator[None]:
        """Room for one more, from before its avatar is loaded. Raises BusyError, QuotaError."""
        self._check_load(plan)
        clients = [*(owned.client for owned in self.owned()), *self._starting]
        if len(clients) >= self.limit:
            raise BusyError(f"sessions: {self.limit} is the limit, end one or wait")
        self._quotas.check_sessions(client, clients)
        self._starting.append(client)
        try:
            yield
        finally:
            self._starting.remove(client)

    def _check_load(self, plan: StreamPlan) -> None:
        """Raise BusyError for a session that takes more of the renderer's time than is free."""
        frame_s, rate = self._loop.frame_s(plan), min(plan.max_fps, USUAL_FPS)
        asked = self._loop.asked_load
        if self._max_load and asked and asked + frame_s * rate > self._max_load:
            free = max(0.0, self._max_load - asked)
            raise BusyError(
                f"renderer: {free:.0%} of its time is free, this session would take"
                f" {frame_s * rate:.0%} ({1e3 * frame_s:.1f} ms a frame, {rate:g} a second): ask"
                " for a smaller picture, fewer kinds or frames, or come again"
            )

    @property
    def asked_load(self) -> float:
        """How much of the renderer's time they ask for together; above 1 they get less."""
        return self._loop.asked_load

    def check_name(self, name: str) -> None:
        """Raise ConflictError if a running session has it, InputError if it is too long."""
        if len(name) > LONGEST_NAME:
            raise InputError(f"name: expected {LONGEST_NAME} characters at most, got {len(name)}")
        if name and any(owned.name == name for owned in self.owned()):
            raise ConflictError(f"a session {name!r} is running already")

    def find(self, name: str) -> OwnedSession:
        """The running session of a name. Raises SessionNotFoundError."""
        for owned in self.owned():
            if name and owned.name == name:
                return owned
        raise SessionNotFoundError(f"no session is named {name[:40]!r}")

    def owned(self) -> list[OwnedSession]:
        """Those that have not ended, the oldest first."""
        self.running()  # sorts out those that have ended
        return [*self._running.values()]

    def replaced(self) -> int:
        """Signals of all sessions so far that were gone before they were drawn."""
        return self._replaced + sum(s.mailbox.replaced for s in self.running())

    def get(self, session_id: str) -> Session:
        """A running session, whoever owns it. Raises SessionNotFoundError."""
        for session in self.running():
            if session.session_id == session_id:
                return session
        raise SessionNotFoundError(f"no session {session_id[:40]!r}")

    def resume(self, session_id: str, token: str) -> OwnedSession | None:
        """The session that its owner has lost; None if it is of a server that was here before.

        Raises OwnerError, InputError, and SessionNotFoundError if it was ended.
        """
        if not SESSION_ID.fullmatch(session_id):
            raise InputError(f"resume: expected 16 hex digits, got {session_id[:40]!r}")
        if not hmac.compare_digest(token.encode(), self._token(session_id).encode()):
            raise _not_owner(session_id)
        known = session_id in self._ended or session_id in self._running
        return self._running[self.claim(session_id, token).session_id] if known else None

    def _token(self, session_id: str) -> str:
        """The owner's: whoever has the secret can tell it from others, also after a restart."""
        digest = hmac.digest(self._secret, session_id.encode(), "sha256")[:24]
        return base64.urlsafe_b64encode(digest).decode()

    def start(
        self,
        avatars: Sequence[str],
        puppet: Puppet,
        plan: StreamPlan,
        view: View,
        name: str,
        session_id: str = "",
        client: str = "",
    ) -> OwnedSession:
        """A new session that shows these avatars, under the id of one that is resumed.

        Raises ConflictError, InputError.
        """
        self.check_name(name)
        session_id = session_id or new_session_id(self._worker)
        if session_id in self._running:
            raise ConflictError(f"session {session_id} is being resumed already")
        token = self._token(session_id)
        writer = FrameWriter(session_id, plan, self._engine, self._publisher, puppet.count)
        mailbox = Latest(self._loop.changed)
        session = Session(session_id, avatars, puppet, plan, view, writer, mailbox)
        keys = self._publisher.keys
        own, reading = (keys.issue(session_id) if keys else None for _ in range(2))
        owned = OwnedSession(session, token, own, reading, name, client)
        self._running[session_id] = owned
        self._loop.add(session)
        _log("started, %dx%d at %g a second", session, plan.width, plan.height, plan.max_fps)
        return owned

    def claim(self, session_id: str, token: str) -> Session:
        """The session, for its owner. Raises SessionNotFoundError, OwnerError."""
        self.running()  # sorts out those that have ended
        owned = self._running.get(session_id)
        if owned is None and session_id not in self._ended:
            raise SessionNotFoundError(f"no session {session_id[:40]!r}")
        expected, reason = (owned.token, "") if owned else self._ended[session_id]
        if not hmac.compare_digest(token.encode(), expected.encode()):
            raise _not_owner(session_id)
        if owned is None:
            raise SessionNotFoundError(f"session {session_id} has ended: {reason}")
        return owned.session

    def end(self, session: Session, reason: str) -> None:
        """End one."""
        self._loop.end(session, reason)

    def end_avatar(self, avatar: str, reason: str) -> int:
        """End those that show an avatar; how many they were."""
        found = self.showing(avatar)
        for session in found:
            self.end(session, reason)
        return len(found)

    def showing(self, avatar: str) -> list[Session]:
        """Those that show an avatar, or morph into it."""
        return [session for session in self.running() if avatar in session.avatars]


def new_session_id(worker: int) -> str:
    """16 hex digits nobody can guess; the first two are the worker's number, if it has one."""
    return f"{worker:02x}{secrets.token_hex(7)}" if worker else secrets.token_hex(8)


def worker_of(session_id: str) -> int:
    """The number of the worker that a session is of. Raises InputError."""
    if not SESSION_ID.fullmatch(session_id):
        raise InputError(f"session: expected 16 hex digits, got {session_id[:40]!r}")
    return int(session_id[:2], 16)


def _log(what: str, session: Session, *arguments: object) -> None:
    """One line about a session."""
    about = {"session": session.session_id, "avatar": " to ".join(session.avatars)}
    logger.info("session " + what, *arguments, extra=about)


def _not_owner(session_id: str) -> OwnerError:
    return OwnerError(
        f"session {session_id} belongs to another client: expected the owner_token that"
        " StartSession returned"
    )
