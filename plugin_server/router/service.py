"""The calls of a router: each is passed on to the server that it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import wraps
from typing import Any, cast

import grpc
from grpc.aio import ServicerContext

from flexavatar.errors import (
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    InputError,
    SessionNotFoundError,
)
from plugin_server.errors import Rpc, reports_errors
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarServicer
from plugin_server.router.worker import Metadata, Worker, WorkerLostError, refusal_of
from plugin_server.router.workers import Workers

TRY_ANOTHER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What a server says that has no room, or is about to stop."""


def passes_errors(rpc: Rpc) -> Rpc:
    """A call whose errors reach the client as the server behind has them."""

    @reports_errors
    @wraps(rpc)
    async def wrapped(self: Any, request: Any, context: ServicerContext) -> Any:
        try:
            return await rpc(self, request, context)
        except grpc.aio.AioRpcError as error:
            metadata = [*(error.trailing_metadata() or ())]
            await context.abort(error.code(), error.details() or "", tuple(metadata))

    return cast(Rpc, wrapped)


def token_of(context: ServicerContext) -> Metadata:
    """What the client showed, for the server behind."""
    metadata = dict(context.invocation_metadata() or ())
    given = metadata.get("authorization")
    return () if given is None else (("authorization", str(given)),)


class RouterService(FlexAvatarServicer):
    """Sessions start where there is room; their frames and drive streams do not come here."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @passes_errors
    async def StartSession(  # noqa: N802
        self, request: pb.StartSessionRequest, context: ServicerContext
    ) -> pb.Session:
        if request.HasField("resume"):
            return await self._resume(request, token_of(context))
        if request.name:
            await self._check_name(request.name, token_of(context))
        names = [name for name in (request.avatar, request.morph_to) if name]
        refusals: list[str] = []
        for worker in self._workers.for_session(names):
            try:
                await self._workers.bring(names, worker)
                return await self._start(worker, request, token_of(context))
            except WorkerLostError as error:
                refusals.append(refusal_of(error))
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRY_ANOTHER:
                    raise
                refusals.append(refusal_of(error))
        raise BusyError("; ".join(refusals))

    async def _start(
        self, worker: Worker, request: pb.StartSessionRequest, token: Metadata
    ) -> pb.Session:
        worker.started += 1
        session = await worker.call("StartSession", request, token)
        session.address = worker.address
        return session

    async def _resume(self, request: pb.StartSessionRequest, token: Metadata) -> pb.Session:
        """On the server that it was on, or nowhere. Raises SessionNotFoundError."""
        lost = request.resume.session_id
        worker = self._workers.of_session(lost)
        try:
            return await self._start(worker, request, token)
        except WorkerLostError as error:
            raise SessionNotFoundError(f"session {lost} has ended: {error}") from None

    async def _check_name(self, name: str, token: Metadata) -> None:
        """Raise ConflictError if a session of any server has it."""
        if await self._find(name, token) is not None:
            raise ConflictError(f"a session {name!r} is running already")

    async def _find(self, name: str, token: Metadata) -> pb.Session | None:
        async def ask(worker: Worker) -> pb.Session | None:
            try:
                session = await worker.call("GetSession", pb.GetSessionRequest(name=name), token)
            except (WorkerLostError, grpc.aio.AioRpcError):
                return None
            session.address = worker.address
            return session

        found = await asyncio.gather(*(ask(worker) for worker in self._workers.alive))
        return next((session for session in found if session is not None), None)

    @passes_errors
    async def GetSession(  # noqa: N802
        self, request: pb.GetSessionRequest, context: ServicerContext
    ) -> pb.Session:
        session = await self._find(request.name, token_of(context))
        if session is None:
            raise SessionNotFoundError(f"no session is named {request.name[:40]!r}")
        return session

    async def _to_session(
        self, call: str, session_id: str, request: Any, context: ServicerContext
    ) -> Any:
        """A call of one session, to its server. Raises SessionNotFoundError."""
        worker = self._workers.of_session(session_id)
        try:
            return await worker.call(call, request, token_of(context))
        except WorkerLostError as error:
            raise SessionNotFoundError(f"session {session_id} has ended: {error}") from None

    @passes_errors
    async def DriveOnce(  # noqa: N802
        self, request: pb.DriveRequest, context: ServicerContext
    ) -> pb.DriveResponse:
        return await self._to_session("DriveOnce", request.session_id, request, context)

    @passes_errors
    async def DrivePicture(  # noqa: N802
        self, request: pb.DrivePictureRequest, context: ServicerContext
    ) -> pb.DrivePictureResponse:
        return await self._to_session("DrivePicture", request.session_id, request, context)

    @passes_errors
    async def DriveAudioOnce(  # noqa: N802
        self, request: pb.DriveAudioOnceRequest, context: ServicerContext
    ) -> pb.DriveAudioResponse:
        session_id = request.header.session_id
        return await self._to_session("DriveAudioOnce", session_id, request, context)

    @passes_errors
    async def InterruptAudio(  # noqa: N802
        self, request: pb.InterruptAudioRequest, context: ServicerContext
    ) -> pb.DriveAudioResponse:
        return await self._to_session("InterruptAudio", request.session_id, request, context)

    @passes_errors
    async def EndSession(  # noqa: N802
        self, request: pb.EndSessionRequest, context: ServicerContext
    ) -> pb.EndSessionResponse:
        return await self._to_session("EndSession", request.session_id, request, context)

    @passes_errors
    async def TerminateSession(  # noqa: N802
        self, request: pb.TerminateSessionRequest, context: ServicerContext
    ) -> pb.EndSessionResponse:
        return await self._to_session("TerminateSession", request.session_id, request, context)

    @passes_errors
    async def Drive(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.DriveRequest], context: ServicerContext
    ) -> None:
        if (first := await anext(request_iterator, None)) is not None:
            self._send_away("Drive", first.session_id)

    @passes_errors
    async def DriveAudio(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.DriveAudioRequest], context: ServicerContext
    ) -> None:
        if (first := await anext(request_iterator, None)) is not None:
            self._send_away("DriveAudio", first.header.session_id)

    def _send_away(self, call: str, session_id: str) -> None:
        """Streams do not pass through here. Raises InputError, SessionNotFoundError."""
        worker = self._workers.of_session(session_id)
        raise InputError(f"{call}: call {worker.address}, the session's `address`, not the router")

    @passes_errors
    async def ListSessions(  # noqa: N802
        self, request: pb.ListSessionsRequest, context: ServicerContext
    ) -> pb.ListSessionsResponse:
        answers = await self._ask_all("ListSessions", request, context)
        return pb.ListSessionsResponse(sessions=[s for a in answers for s in a.sessions])

    async def _ask_all(self, call: str, request: Any, context: ServicerContext) -> Sequence[Any]:
        """What all say who answer."""
        workers, token = self._workers.alive, token_of(context)
        asked = (worker.call(call, request, token) for worker in workers)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, WorkerLostError):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    @passes_errors
    async def CreateAvatar(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.CreateAvatarRequest], context: ServicerContext
    ) -> None:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("part") != "header":
            raise InputError("expected the header first")
        worker = self._workers.for_creation(first.header.name, first.header.replace)

        async def requests() -> AsyncIterator[pb.CreateAvatarRequest]:
            yield first
            async for request in request_iterator:
                yield request

        call = worker.stub.CreateAvatar(requests(), metadata=token_of(context))
        try:
            async for answer in call:
                if answer.WhichOneof("part") == "avatar":
                    await worker.look()
                await context.write(answer)
        except grpc.aio.AioRpcError as error:
            worker.check_lost(error)
            raise
        finally:
            call.cancel()  # no effect on one that is over

    @passes_errors
    async def ListCreations(  # noqa: N802
        self, request: pb.ListCreationsRequest, context: ServicerContext
    ) -> pb.ListCreationsResponse:
        answers = await self._ask_all("ListCreations", request, context)
        return pb.ListCreationsResponse(creations=[c for a in answers for c in a.creations])

    @passes_errors
    async def CancelCreation(  # noqa: N802
        self, request: pb.CancelCreationRequest, context: ServicerContext
    ) -> pb.CancelCreationResponse:
        for worker in self._workers.alive:
            listed = await worker.call("ListCreations", pb.ListCreationsRequest())
            if any(creation.name == request.name for creation in listed.creations):
                return await worker.call("CancelCreation", request, token_of(context))
        raise AvatarNotFoundError(f"no avatar {request.name[:64]!r} is being made")

    @passes_errors
    async def CreateAvatarOnce(  # noqa: N802
        self, request: pb.CreateAvatarOnceRequest, context: ServicerContext
    ) -> pb.Avatar:
        worker = self._workers.for_creation(request.header.name, request.header.replace)
        return await self._make(worker, "CreateAvatarOnce", request, context)

    @passes_errors
    async def InterpolateAvatars(  # noqa: N802
        self, request: pb.InterpolateAvatarsRequest, context: ServicerContext
    ) -> pb.Avatar:
        worker = self._workers.for_creation(request.name, request.replace)
        await self._workers.bring((request.a, request.b), worker)
        return await self._make(worker, "InterpolateAvatars", request, context)

    async def _make(
        self, worker: Worker, call: str, request: Any, context: ServicerContext
    ) -> pb.Avatar:
        """An avatar that is known to be there when the call returns."""
        made = await worker.call(call, request, token_of(context))
        worker.avatars = {**worker.avatars, made.name: made}
        return made

    @passes_errors
    async def GetAvatar(  # noqa: N802
        self, request: pb.GetAvatarRequest, context: ServicerContext
    ) -> pb.Avatar:
        return self._workers.holders(request.name)[0].avatars[request.name]

    @passes_errors
    async def ListAvatars(  # noqa: N802
        self, request: pb.ListAvatarsRequest, context: ServicerContext
    ) -> pb.ListAvatarsResponse:
        return pb.ListAvatarsResponse(avatars=self._workers.avatars())

    @passes_errors
    async def DeleteAvatar(  # noqa: N802
        self, request: pb.DeleteAvatarRequest, context: ServicerContext
    ) -> pb.DeleteAvatarResponse:
        name, ended = request.name, 0
        self._workers.holders(name)
        for worker in [w for w in self._workers.alive if name in w.avatars]:
            answer = await worker.call("DeleteAvatar", request, token_of(context))
            ended += answer.ended_sessions
            worker.avatars = {k: v for k, v in worker.avatars.items() if k != name}
        return pb.DeleteAvatarResponse(ended_sessions=ended)

    @passes_errors
    async def GetProfile(  # noqa: N802
        self, request: pb.GetProfileRequest, context: ServicerContext
    ) -> pb.Profile:
        worker = self._workers.holders(request.avatar)[0]
        return await worker.call("GetProfile", request, token_of(context))

    @passes_errors
    async def SetProfile(  # noqa: N802
        self, request: pb.SetProfileRequest, context: ServicerContext
    ) -> pb.Profile:
        holders, token = self._workers.holders(request.avatar), token_of(context)
        answers = [await worker.call("SetProfile", request, token) for worker in holders]
        return answers[0]

    @passes_errors
    async def GetServerInfo(  # noqa: N802
        self, request: pb.GetServerInfoRequest, context: ServicerContext
    ) -> pb.ServerInfo:
        alive = [worker.info for worker in self._workers.alive if worker.info]
        total = pb.ServerInfo()
        if alive:
            total.version, total.wire_version = alive[0].version, alive[0].wire_version
            total.limits.CopyFrom(alive[0].limits)
            total.limits.sessions = sum(info.limits.sessions for info in alive)
        total.device = f"{len(alive)} of {len(self._workers.all)} servers"
        total.avatars = len(self._workers.avatars())
        total.sessions = sum(worker.sessions for worker in self._workers.alive)
        total.creations = sum(info.creations for info in alive)
        total.load = sum(info.load for info in alive)
        total.problems.extend(self._workers.problems)
        return total
