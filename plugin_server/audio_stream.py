"""Sound comes in by either twin, and how far it has come goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from grpc.aio import ServicerContext

from flexavatar.drive.voice.driver import VoiceConfig
from flexavatar.errors import ConflictError, DriveError, InputError
from plugin_server.drive_stream import only_stream, until_end
from plugin_server.live import AUDIO
from plugin_server.messages.audio import audio_message, check_chunk, speech_plan, voice_style
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Driven, Session
from plugin_server.speech import Speech


@dataclass(frozen=True)
class Speaking:
    """How sound is taken."""

    most_s: float
    """That may wait to be shown."""
    clock: Callable[[], float]

    def begin(self, header: pb.AudioHeader) -> Speech:
        """A sound as its header says. Raises DriveError."""
        style = voice_style(header.style)
        return Speech(speech_plan(header), style, self.most_s, self.clock)


async def speak_until_end(
    session: Session,
    speech: Speech,
    requests: AsyncIterator[pb.DriveAudioRequest],
    context: ServicerContext,
) -> None:
    """Take chunks, show them, and answer until all has been shown or the client hangs up.

    Raises DriveError for a chunk that is none, ConflictError if something is said already,
    SessionNotFoundError if the session ends before.
    """
    live, before = _listening(session), pb.DriveAudioResponse()

    def news() -> pb.DriveAudioResponse | None:
        nonlocal before
        last, before = before, audio_message(speech)
        last.started_unix_ns = before.started_unix_ns  # two clocks read one after the other
        return before if before != last else None

    async def take() -> None:
        playing = live.speak(speech)
        async for request in requests:
            await _take(speech, request)
        await speech.end()
        await playing

    with only_stream(session, AUDIO):
        _check_silent(live)
        speech.attended = True
        try:
            await until_end(session, take(), news, context)
        finally:
            if not speech.playout.complete:
                speech.hang_up()


async def _take(speech: Speech, request: pb.DriveAudioRequest) -> None:
    part = request.WhichOneof("part")
    if part == "chunk":
        check_chunk(request.chunk, speech.plan)
        await speech.room(request.chunk)
        await speech.hear(request.chunk)
    elif part == "style":
        await speech.restyle(voice_style(request.style))
    elif part == "interrupt":
        speech.interrupt()
        speech.deaf = False
    elif part == "resume":
        speech.deaf = False
    else:
        raise InputError(f"audio: expected a chunk after the header, got {part or 'nothing'}")


async def speak_once(
    session: Session, request: pb.DriveAudioOnceRequest, speaking: Speaking
) -> pb.DriveAudioResponse:
    """Take one chunk of a sound. Raises DriveError, InputError, ConflictError, BusyError."""
    live = _listening(session)
    if AUDIO in session.streaming:
        raise ConflictError(f"session {session.session_id}: a DriveAudio stream speaks")
    plan = speech_plan(request.header)
    style = voice_style(request.header.style)
    check_chunk(request.chunk, plan)
    speech = live.speech
    if request.position == 0:
        _check_silent(live)
        speech = speaking.begin(request.header)
        live.speak(speech)
    elif speech is None or request.position != speech.accepted or plan != speech.plan:
        raise InputError(_expected(speech, request.position))
    speech.check_room(request.chunk)
    await _hear_once(speech, request, style)
    return audio_message(speech)


async def _hear_once(speech: Speech, request: pb.DriveAudioOnceRequest, style: VoiceConfig) -> None:
    if style != speech.style:
        await speech.restyle(style)
    await speech.hear(request.chunk)
    if request.last:
        await speech.end()


def _expected(speech: Speech | None, position: int) -> str:
    if speech is None:
        return f"position: nothing is said: expected 0, got {position}"
    if position != speech.accepted:
        return f"position: expected {speech.accepted}, got {position}"
    return "header: expected the same with every chunk of a sound, but for its style"


def interrupt(session: Session) -> pb.DriveAudioResponse:
    """Drop what is queued. Raises DriveError if the session cannot speak at all."""
    speech = _listening(session).speech
    if speech is None:
        return pb.DriveAudioResponse()
    if speech.attended:
        speech.deaf = True
        speech.interrupt()
    else:
        speech.hang_up()
    return audio_message(speech)


def _listening(session: Session) -> Driven:
    """What drives a session that may speak. Raises DriveError."""
    if session.live is None:
        raise DriveError(f"expected a session with {AUDIO!r} among its sources, got one without")
    return session.live


def _check_silent(live: Driven) -> None:
    """Raise ConflictError while something else is said."""
    if live.speech is not None and not live.speech.idle:
        raise ConflictError(
            f"something is said already: {live.speech.accepted} samples of it came in; go on with"
            " it, wait, or interrupt"
        )
