"""What it takes to start a session: room, its avatar, its camera, its sources."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from flexavatar.drive.profile import Profile
from flexavatar.errors import FlexAvatarError
from plugin_server.background import start
from plugin_server.config import ServerConfig
from plugin_server.live import LiveFaces
from plugin_server.messages.sessions import session_camera, stream_plan
from plugin_server.messages.sources import sources_from
from plugin_server.neutral_faces import (
    FILE,
    NeutralFaces,
    keep_profile,
    read_neutral_faces,
    read_profile,
)
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.puppets import Puppets
from plugin_server.sessions import OwnedSession, Sessions
from plugin_server.shutdown import Shutdown
from plugin_server.store import Store

logger = logging.getLogger(__name__)


class SessionStarter:
    """Starts sessions as they are asked for. For the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        store: Store,
        puppets: Puppets,
        sessions: Sessions,
        lives: LiveFaces,
        shutdown: Shutdown,
    ) -> None:
        self._config, self._store, self._puppets = config, store, puppets
        self._sessions, self._lives, self._shutdown = sessions, lives, shutdown

    async def start(
        self, request: pb.StartSessionRequest, lasting: bool = False, client: str = ""
    ) -> OwnedSession:
        """A client's new session, or the one that it resumes; a lasting one never times out.

        Raises AvatarNotFoundError, AssetError, InputError, DriveError, BusyError, QuotaError,
        ConflictError, StoppingError; of one that is resumed OwnerError, SessionNotFoundError.
        """
        self._shutdown.check()
        resume = request.resume
        if request.HasField("resume") and (
            running := self._sessions.resume(resume.session_id, resume.owner_token)
        ):
            return running
        plan = stream_plan(request, self._config)
        sources = sources_from(request.sources, self._lives.gateways)
        self._sessions.check_name(request.name)
        names = [request.avatar, request.morph_to] if request.morph_to else [request.avatar]
        with self._sessions.place(plan, client):
            puppet = await self._puppets.get(names)
            view = partial(session_camera, request.camera, plan=plan)
            owned = self._sessions.start(
                names, puppet, plan, view, request.name, resume.session_id, client
            )
        owned.session.lasting = lasting
        with self.ended_by_failure(owned):
            for name in names:  # it may have been deleted while it was loaded
                await self._store.in_thread(self._store.record, name)
            owned.session.replace_puppet(await self._puppets.get(names))  # or replaced
            neutral = await self._neutral_faces(names[0], lasting)
            profile = None
            if lasting or request.profile:
                profile = await self._profile(names[0], lasting)
            self._lives.start(owned.session, sources, lasting, neutral, profile)
        return owned

    async def show_stored(self, avatar: str) -> None:
        """Let sessions that show an avatar go on with what is stored under its name by now."""
        for session in self._sessions.showing(avatar):
            try:
                session.replace_puppet(await self._puppets.get(session.avatars))
            except FlexAvatarError as error:
                logger.warning("session %s keeps what it shows: %s", session.session_id, error)

    async def _profile(self, name: str, lasting: bool) -> Profile:
        """An avatar's; of the one that is shown from the start what was given anew is kept."""
        kept = await self._store.in_thread(read_profile, self._store.folder(name))
        profile = self._config.gateways.profile(kept) if lasting else kept
        if profile != kept:
            await self._store.in_thread(keep_profile, self._store, name, profile)
        return profile

    async def _neutral_faces(self, name: str, lasting: bool) -> NeutralFaces:
        """Those that are kept with an avatar; a lasting session learns them anew if so asked."""
        folder = self._store.folder(name)
        known = await self._store.in_thread(read_neutral_faces, folder)
        if not (lasting and self._config.gateways.calibrate):
            return NeutralFaces(known)

        def keep(content: str) -> None:
            start(
                f"keeping the face at rest with {name}",
                self._store.in_thread(self._store.write_beside, name, FILE, content),
            )

        return NeutralFaces(known, keep)

    @contextmanager
    def ended_by_failure(self, owned: OwnedSession) -> Iterator[None]:
        """Whatever goes wrong, also a client that is gone, ends a new session: nobody else can."""
        try:
            yield
        except BaseException as error:
            self._sessions.end(owned.session, str(error) or "its client is gone")
            raise
