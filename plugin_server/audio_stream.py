"""Sound comes in by either twin, and how far it has come goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from grpc.aio import ServicerContext

from flexavatar.drive.signal import AUDIO
from flexavatar.errors import ConflictError, DriveError, InputError
from plugin_server.drive_stream import exclusive_stream, run_until_end
from plugin_server.messages.audio import (
    WholeSamples,
    audio_format,
    audio_message,
    check_chunk,
    voice_style,
)
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import FaceMixer, Session
from plugin_server.speech import Speech

NewSpeech = Callable[[pb.AudioHeader], Speech]
"""Makes the sound that a header describes. Raises DriveError."""


async def drive_audio(
    session: Session,
    speech: Speech,
    requests: AsyncIterator[pb.DriveAudioRequest],
    context: ServicerContext,
) -> None:
    """Take chunks, show them, and answer until all has been shown or the client hangs up.

    The owner's older stream gives way, and what it still had to say. Raises DriveError for a
    chunk that is none, ConflictError if a sound of DriveAudioOnce is playing already or once a
    newer stream takes over, SessionNotFoundError if the session ends before.
    """
    live, before = _live_face(session), pb.DriveAudioResponse()

    def next_report() -> pb.DriveAudioResponse | None:
        nonlocal before
        last, before = before, audio_message(speech)
        last.started_unix_ns = before.started_unix_ns  # two clocks read one after the other
        return before if before != last else None

    async def take() -> None:
        playing, samples = live.speak(speech), WholeSamples(speech.format)
        async for request in requests:
            await _take(speech, request, samples)
        samples.check_end()
        await speech.end()
        await playing

    if AUDIO not in session.streams:
        _check_silent(live)
    with exclusive_stream(session, AUDIO) as taken_over:
        speech.streamed = True
        try:
            await run_until_end(session, take(), next_report, context, taken_over)
        finally:
            if not speech.playout.complete:
                speech.abort()


async def _take(speech: Speech, request: pb.DriveAudioRequest, samples: WholeSamples) -> None:
    part = request.WhichOneof("part")
    if part == "chunk":
        chunk = samples.add(request.chunk)
        await speech.wait_for_room(chunk)
        await speech.push(chunk)
    elif part == "style":
        speech.style = voice_style(request.style)
    elif part == "interrupt":
        speech.interrupt()
        speech.muted = False
    elif part == "resume":
        speech.muted = False
    else:
        raise InputError(f"audio: expected a chunk after the header, got {part or 'nothing'}")


async def drive_audio_once(
    session: Session, request: pb.DriveAudioOnceRequest, new_speech: NewSpeech
) -> pb.DriveAudioResponse:
    """Take one chunk of a sound. Raises DriveError, InputError, ConflictError, BusyError."""
    live = _live_face(session)
    if AUDIO in session.streams:
        raise ConflictError(f"session {session.session_id}: a DriveAudio stream speaks")
    style = voice_style(request.header.style)
    check_chunk(request.chunk, audio_format(request.header))
    speech = _speech_of(live, request, new_speech)
    speech.check_room(request.chunk)
    speech.style = style
    await speech.push(request.chunk, request.last)
    return audio_message(speech)


def _speech_of(live: FaceMixer, request: pb.DriveAudioOnceRequest, new_speech: NewSpeech) -> Speech:
    """The sound that a chunk continues, or begins. Raises DriveError, InputError, ConflictError."""
    if request.position == 0:
        _check_silent(live)
        speech = new_speech(request.header)
        live.speak(speech)
        return speech
    speech, header_format = live.speech, audio_format(request.header)
    if speech is None:
        raise InputError(f"position: nothing is said: expected 0, got {request.position}")
    if request.position != speech.accepted:
        raise InputError(f"position: expected {speech.accepted}, got {request.position}")
    if header_format != speech.format:
        raise InputError("header: expected the same with every chunk of a sound, but for its style")
    return speech


def interrupt_audio(session: Session) -> pb.DriveAudioResponse:
    """Drop what is queued. Raises DriveError if the session cannot speak at all."""
    speech = _live_face(session).speech
    if speech is None:
        return pb.DriveAudioResponse()
    if speech.streamed:
        speech.muted = True
        speech.interrupt()
    else:
        speech.abort()
    return audio_message(speech)


def _live_face(session: Session) -> FaceMixer:
    """The live face of a session that may speak. Raises DriveError."""
    if session.live is None:
        raise DriveError(f"expected a session with {AUDIO!r} among its sources, got one without")
    return session.live


def _check_silent(live: FaceMixer) -> None:
    """Raise ConflictError while another sound is playing."""
    if live.speech is not None and not live.speech.idle:
        raise ConflictError(
            f"something is said already: {live.speech.accepted} samples of it came in; go on with"
            " it, wait, or interrupt"
        )
