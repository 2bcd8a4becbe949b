"""gRPC messages <-> types, nothing else."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from grpc.aio import ServicerContext

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.signal import DRIVE
from flexavatar.errors import InputError
from plugin_server import wire
from plugin_server.audio_stream import drive_audio, drive_audio_once, interrupt_audio
from plugin_server.avatar_copy import read_copy, write_copy
from plugin_server.avatar_record import AvatarRecord
from plugin_server.background import Watch, start, to_its_end
from plugin_server.bodies import UploadPace
from plugin_server.config import ServerConfig
from plugin_server.creation import Creation, Creations
from plugin_server.drive_stream import drive_report, drive_until_end, exclusive_stream
from plugin_server.engine import Engine
from plugin_server.errors import reports_errors
from plugin_server.gateways.hub import GatewayStatus, Hub
from plugin_server.live import LiveFaces
from plugin_server.messages.audio import audio_format, voice_style
from plugin_server.messages.avatars import (
    avatar_message,
    check_photos,
    creations_message,
    progress_message,
    read_header,
    read_photos,
    recipe_from,
)
from plugin_server.messages.sessions import (
    camera_message,
    check_range,
    limits_message,
    plan_kinds,
    session_status,
)
from plugin_server.messages.signals import request_signal
from plugin_server.messages.sources import gateway_message, profile_from, profile_message
from plugin_server.neutral_faces import keep_profile, read_profile
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarServicer
from plugin_server.picture_drive import PictureDrivers
from plugin_server.publisher import Publisher
from plugin_server.puppets import Puppets
from plugin_server.quotas import client_of
from plugin_server.security import KeyPair
from plugin_server.session_start import SessionStarter
from plugin_server.sessions import OwnedSession, Sessions
from plugin_server.shutdown import Shutdown
from plugin_server.speech import Speech
from plugin_server.store import Store

logger = logging.getLogger(__name__)

PROGRESS_S = 0.25


class FlexAvatarService(FlexAvatarServicer):
    """The calls of proto/flexavatar/v1/flexavatar.proto. Never blocks the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        store: Store,
        creations: Creations,
        sessions: Sessions,
        publisher: Publisher,
        hub: Hub,
        drive: GatewayStatus,
        watch: Watch,
        shutdown: Shutdown,
    ) -> None:
        self._config, self._engine, self._store = config, engine, store
        self._creations, self._sessions, self._publisher = creations, sessions, publisher
        self._drive_socket, self._watch = drive, watch
        self._hub, self._shutdown = hub, shutdown
        self._lives = LiveFaces(hub, HeadAngles(*config.gateways.head_gain), sessions.end)
        self._pictures = PictureDrivers()
        puppets = Puppets(engine, store)
        self.starter = SessionStarter(config, store, puppets, sessions, self._lives, shutdown)
        loop = asyncio.get_running_loop()
        creations.on_stored = partial(loop.call_soon_threadsafe, self._show_stored)
        creations.on_preview_dropped = partial(loop.call_soon_threadsafe, self._end_preview)

    def _show_stored(self, name: str) -> None:
        """Sessions that show another avatar of that name, or its preview, go on with this one."""
        start(f"showing the new {name!r}", self.starter.show_stored(name))

    def _end_preview(self, name: str) -> None:
        self._sessions.end_avatar(name, f"avatar {name!r} was not completed")

    async def close(self) -> None:
        """Let go of the faces that live by themselves."""
        await self._lives.close()
        self._pictures.close()

    @reports_errors
    async def CreateAvatar(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.CreateAvatarRequest], context: ServicerContext
    ) -> None:
        pace = UploadPace(self._config.upload_timeout_s)
        header = await read_header(request_iterator, pace)
        recipe = recipe_from(header, self._engine.models)
        async with self._seat(header.name, header.replace, context) as creation:
            photos = await read_photos(request_iterator, self._config, pace)
            creation.keep = header.keep
            making = asyncio.ensure_future(self._creations.create(creation, photos, recipe))
            making.add_done_callback(_look_at)
            del photos
            try:
                while not making.done():
                    await context.write(
                        pb.CreateAvatarResponse(progress=progress_message(creation))
                    )
                    await asyncio.wait((making,), timeout=PROGRESS_S)
            finally:
                if not creation.keep:
                    making.cancel()  # no effect on one that is complete
            record = await making
        await context.write(pb.CreateAvatarResponse(avatar=avatar_message(record)))

    @reports_errors
    async def CreateAvatarOnce(  # noqa: N802
        self, request: pb.CreateAvatarOnceRequest, context: ServicerContext
    ) -> pb.Avatar:
        check_photos(request.photos, self._config)
        recipe = recipe_from(request.header, self._engine.models)
        header = request.header
        async with self._seat(header.name, header.replace, context) as creation:
            return avatar_message(await self._creations.create(creation, [*request.photos], recipe))

    @reports_errors
    async def ListCreations(  # noqa: N802
        self, request: pb.ListCreationsRequest, context: ServicerContext
    ) -> pb.ListCreationsResponse:
        return creations_message(self._creations.all())

    @reports_errors
    async def CancelCreation(  # noqa: N802
        self, request: pb.CancelCreationRequest, context: ServicerContext
    ) -> pb.CancelCreationResponse:
        self._creations.cancel(request.name)
        return pb.CancelCreationResponse()

    @asynccontextmanager
    async def _seat(
        self, name: str, replace: bool, context: ServicerContext
    ) -> AsyncIterator[Creation]:
        """A place among the creations for the client of a call.

        Raises InputError, ConflictError, BusyError, QuotaError, StoppingError.
        """
        self._shutdown.check()
        name, client = name or f"avatar-{secrets.token_hex(4)}", client_of(context)
        await self._creations.check_avatars(name, client)
        with self._creations.seat(name, replace, client) as creation:
            yield creation

    @reports_errors
    async def InterpolateAvatars(  # noqa: N802
        self, request: pb.InterpolateAvatarsRequest, context: ServicerContext
    ) -> pb.Avatar:
        check_range("share", request.share, 0, 1)
        async with self._seat(request.name, request.replace, context) as creation:
            making = self._creations.interpolate(creation, request.a, request.b, request.share)
            return avatar_message(await making)

    @reports_errors
    async def GetAvatar(  # noqa: N802
        self, request: pb.GetAvatarRequest, context: ServicerContext
    ) -> pb.Avatar:
        return avatar_message(await self._store.in_thread(self._store.record, request.name))

    @reports_errors
    async def ListAvatars(  # noqa: N802
        self, request: pb.ListAvatarsRequest, context: ServicerContext
    ) -> pb.ListAvatarsResponse:
        records = await self._store.in_thread(self._store.records)
        return pb.ListAvatarsResponse(avatars=map(avatar_message, records))

    @reports_errors
    async def DeleteAvatar(  # noqa: N802
        self, request: pb.DeleteAvatarRequest, context: ServicerContext
    ) -> pb.DeleteAvatarResponse:
        ended = await to_its_end(f"deleting {request.name!r}", self._delete(request.name))
        return pb.DeleteAvatarResponse(ended_sessions=ended)

    @reports_errors
    async def GetProfile(  # noqa: N802
        self, request: pb.GetProfileRequest, context: ServicerContext
    ) -> pb.Profile:
        await self._store.in_thread(self._store.record, request.avatar)
        folder = self._store.folder(request.avatar)
        return profile_message(await self._store.in_thread(read_profile, folder))

    @reports_errors
    async def SetProfile(  # noqa: N802
        self, request: pb.SetProfileRequest, context: ServicerContext
    ) -> pb.Profile:
        profile = profile_from(request.profile)
        await self._store.in_thread(keep_profile, self._store, request.avatar, profile)
        for session in self._sessions.running():
            if session.live is not None and session.avatars[0] == request.avatar:
                session.live.follow(profile)
        return profile_message(profile)

    async def _delete(self, name: str) -> int:
        """Remove an avatar and end its sessions; how many they were."""
        await self._store.in_thread(self._store.delete, name)
        logger.info("avatar deleted", extra={"avatar": name})
        return self._sessions.end_avatar(name, f"avatar {name!r} was deleted")

    @reports_errors
    async def FetchAvatar(  # noqa: N802
        self, request: pb.GetAvatarRequest, context: ServicerContext
    ) -> pb.StoredAvatar:
        return await self._store.in_thread(read_copy, self._store, request.name)

    @reports_errors
    async def StoreAvatar(  # noqa: N802
        self, request: pb.StoredAvatar, context: ServicerContext
    ) -> pb.Avatar:
        self._shutdown.check()
        write = self._store.in_thread(write_copy, self._store, self._engine, request)
        record = await to_its_end(f"storing {request.name!r}", write)
        self._show_stored(record.name)
        return avatar_message(record)

    @reports_errors
    async def StartSession(  # noqa: N802
        self, request: pb.StartSessionRequest, context: ServicerContext
    ) -> pb.Session:
        owned = await self.starter.start(request, client=client_of(context))
        with self.starter.ended_by_failure(owned):
            return self._session_message(owned, owned.frame_keys)

    def _session_message(self, owned: OwnedSession, keys: KeyPair | None) -> pb.Session:
        """All that its owner needs to know of a session; `keys` if frames are encrypted."""
        session, plan = owned.session, owned.session.plan
        return pb.Session(
            session_id=session.session_id,
            owner_token=owned.token,
            frame_address=self._publisher.address,
            topic=wire.topic(session.session_id)[0],
            width=plan.width,
            height=plan.height,
            kinds=plan_kinds(plan),
            camera=camera_message(session.camera),
            gaussians=session.gaussians,
            curve=self._curve(keys),
            drive_address=self._drive_socket.address,
        )

    def _curve(self, own: KeyPair | None) -> pb.CurveKeys | None:
        """What a reader needs if frames are encrypted."""
        if own is None or self._publisher.keys is None:
            return None
        return pb.CurveKeys(
            server_public_key=self._publisher.keys.public.decode(),
            client_public_key=own.public.decode(),
            client_secret_key=own.secret.decode(),
        )

    @reports_errors
    async def Drive(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.DriveRequest], context: ServicerContext
    ) -> None:
        first = await anext(request_iterator, None)
        if first is None:
            return
        session = self._sessions.claim(first.session_id, first.owner_token)
        with exclusive_stream(session, first.source or DRIVE) as taken_over:
            await drive_until_end(session, first, request_iterator, context, taken_over)

    @reports_errors
    async def DriveOnce(  # noqa: N802
        self, request: pb.DriveRequest, context: ServicerContext
    ) -> pb.DriveResponse:
        session = self._sessions.claim(request.session_id, request.owner_token)
        session.drive(request_signal(request, session))
        return drive_report(session)

    @reports_errors
    async def DrivePicture(  # noqa: N802
        self, request: pb.DrivePictureRequest, context: ServicerContext
    ) -> pb.DrivePictureResponse:
        session = self._sessions.claim(request.session_id, request.owner_token)
        return await self._pictures.drive(session, request)

    @reports_errors
    async def DriveAudio(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.DriveAudioRequest], context: ServicerContext
    ) -> None:
        first = await anext(request_iterator, None)
        if first is None:
            return
        if first.WhichOneof("part") != "header":
            raise InputError("audio: expected the header first")
        session = self._sessions.claim(first.header.session_id, first.header.owner_token)
        await drive_audio(session, self._new_speech(first.header), request_iterator, context)

    def _new_speech(self, header: pb.AudioHeader) -> Speech:
        """The sound that a header describes. Raises DriveError."""
        style = voice_style(header.style)
        return Speech(audio_format(header), style, self._config.max_audio_s, self._hub.clock)

    @reports_errors
    async def DriveAudioOnce(  # noqa: N802
        self, request: pb.DriveAudioOnceRequest, context: ServicerContext
    ) -> pb.DriveAudioResponse:
        session = self._sessions.claim(request.header.session_id, request.header.owner_token)
        return await drive_audio_once(session, request, self._new_speech)

    @reports_errors
    async def InterruptAudio(  # noqa: N802
        self, request: pb.InterruptAudioRequest, context: ServicerContext
    ) -> pb.DriveAudioResponse:
        return interrupt_audio(self._sessions.claim(request.session_id, request.owner_token))

    @reports_errors
    async def EndSession(  # noqa: N802
        self, request: pb.EndSessionRequest, context: ServicerContext
    ) -> pb.EndSessionResponse:
        session = self._sessions.claim(request.session_id, request.owner_token)
        self._sessions.end(session, "its owner ended it")
        return pb.EndSessionResponse(frames=session.last_frame.seq)

    @reports_errors
    async def ListSessions(  # noqa: N802
        self, request: pb.ListSessionsRequest, context: ServicerContext
    ) -> pb.ListSessionsResponse:
        return pb.ListSessionsResponse(
            sessions=[session_status(o.session, o.name) for o in self._sessions.owned()]
        )

    @reports_errors
    async def TerminateSession(  # noqa: N802
        self, request: pb.TerminateSessionRequest, context: ServicerContext
    ) -> pb.EndSessionResponse:
        session = self._sessions.get(request.session_id)
        self._sessions.end(session, request.reason[:200] or "an administrator ended it")
        return pb.EndSessionResponse(frames=session.last_frame.seq)

    @reports_errors
    async def GetSession(  # noqa: N802
        self, request: pb.GetSessionRequest, context: ServicerContext
    ) -> pb.Session:
        owned = self._sessions.find(request.name)
        message = self._session_message(owned, owned.reader_keys)
        message.ClearField("owner_token")
        return message

    @reports_errors
    async def GetServerInfo(  # noqa: N802
        self, request: pb.GetServerInfoRequest, context: ServicerContext
    ) -> pb.ServerInfo:
        return pb.ServerInfo(
            version=_version(),
            wire_version=wire.VERSION,
            device=self._engine.device,
            device_reason=self._engine.device_reason,
            frame_address=self._publisher.address,
            avatars=len(await self._store.in_thread(self._store.names)),
            sessions=len(self._sessions.running()),
            creations=len(self._creations),
            limits=limits_message(self._config),
            gateways=[gateway_message(s, self._hub.clock()) for s in self._hub.statuses],
            drive=gateway_message(self._drive_socket, self._hub.clock()),
            problems=[*self._watch.problems, *self._publisher.problems],
            stopping=self._shutdown.begun,
            worker=self._config.worker,
            load=self._sessions.asked_load,
        )


def _version() -> str:
    try:
        return version("flexavatar")
    except PackageNotFoundError:
        return "not installed"


def _look_at(making: asyncio.Task[AvatarRecord]) -> None:
    """Its client may be gone; `Creations` has logged what went wrong."""
    if not making.cancelled():
        making.exception()
