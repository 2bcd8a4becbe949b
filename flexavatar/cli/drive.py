"""`flexavatar drive`: an avatar that follows a recording, a video, or who sits at the webcam."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import tyro

from flexavatar.cli.connect import ServerOptions, connect_separate
from flexavatar.cli.pictures import check_suffix, load_from_store
from flexavatar.cli.view import check_background, has_screen, show_frames
from flexavatar.drive.voice.config import VoiceConfig
from flexavatar.errors import FaceError, InputError
from flexavatar.progress import Progress, progress_bar

if TYPE_CHECKING:
    import numpy as np

    from flexavatar.drive.signal import Signal
    from flexavatar.formats.frame_sources import TimedFrame, VideoFile
    from flexavatar.formats.sound import Recording
    from plugin_server.client.client import ClientSession

USUAL_FPS = 30.0
RECALIBRATE_KEY = ord("c")
POLL_S = 0.2
CALIBRATION_FRAMES = 60
"""Pictures from all over a film from which the person's face at rest is calibrated."""


@dataclass(frozen=True)
class Drive:
    """Let an avatar follow a recorded performance, a voice, a video, or a webcam.

    Recordings become a video; a webcam drives the avatar live, in a window.
    """

    avatar: tyro.conf.Positional[str]
    """Its name."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A recording of Live Link Face, .csv; the performance that ships if nothing is given."""
    audio: Path | None = None
    """A recording of a voice, of any kind of sound file: the avatar says it, with its sound."""
    voice: Annotated[VoiceConfig, tyro.conf.arg(name="")] = field(default_factory=VoiceConfig)
    video: Path | None = None
    """A video of one person, who is at rest somewhere in it; its sound is kept."""
    webcam: str | None = None
    """A camera's number or device: look into it quietly for two seconds, then be alive."""
    microphone: str | None = None
    """A microphone's ALSA name, "default" for the usual one: the avatar says what you say."""
    beside: bool = False
    """Show the video beside the avatar."""
    record: Path | None = None
    """Write what the face does as a recording, .csv, that --from plays again. Not of a microphone:
    --audio with a sound file has it."""
    out: Path = Path("out/drive.mp4")
    """The video's file, .mp4."""
    fps: float | None = None
    """Frames a second; the video's own, else 30."""
    width: int = 512
    """Pixels, even."""
    height: int = 512
    """Pixels, even."""
    background: str = "808080"
    """Colour behind the head in the webcam's window, RRGGBB; 00ff00 to key it out."""

    def run(self) -> None:
        """Do what is asked."""
        given = [self.source, self.audio, self.video, self.webcam, self.microphone]
        if sum(one is not None for one in given) > 1:
            raise InputError(
                "drive: expected one of --from, --audio, --video, --webcam, --microphone, got more"
            )
        if self.fps is not None and not 1 <= self.fps <= 240:
            raise InputError(f"fps: expected 1..240, got {self.fps:g}")
        if self.record is not None:
            check_suffix(self.record, (".csv",))
        size = self.width, self.height
        if self.webcam is not None:
            live = (self.where, size, self.background, self.record)
            drive_from_webcam(self.avatar, self.webcam, *live)
            return
        if self.microphone is not None:
            live = (self.where, size, self.background)
            drive_from_microphone(self.avatar, self.microphone, self.voice, *live)
            return
        check_suffix(self.out, (".mp4",))
        if self.video is not None:
            self._film_video(self.video)
        elif self.audio is not None:
            self._film_voice(self.audio)
        else:
            self._film_recording()
        print(self.out)

    def _film_recording(self) -> None:
        from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance

        frames = read_performance(self.source or SHIPPED_PERFORMANCE)
        self._film(frames, self.fps or USUAL_FPS)

    def _film_voice(self, path: Path) -> None:
        from flexavatar.drive.voice.driver import voice_performance
        from flexavatar.formats.sound import read_recording

        sound = read_recording(path)
        frames = voice_performance(sound.pcm, sound.rate, sound.channels, self.voice)
        self._film(frames, self.fps or USUAL_FPS, sound)

    def _film_video(self, path: Path) -> None:
        from flexavatar.formats.frame_sources import VideoFile
        from flexavatar.formats.sound import read_recording

        film = VideoFile(path)
        sound = None
        with suppress(InputError):  # it has none
            sound = read_recording(path)
        with progress_bar(f"watching {path.name}") as report:
            frames = track_performance(film, path.name, report)
        beside = _SideVideo(film.frames(), self.height).at if self.beside else None
        self._film(frames, self.fps or film.fps, sound, beside)

    def _film(
        self,
        frames: list[Signal],
        fps: float,
        sound: Recording | None = None,
        beside: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        """Draw every frame, write."""
        from flexavatar.drive.performance import write_performance
        from flexavatar.evaluation.avatar_renderer import write_performance_video

        if self.record is not None:
            write_performance(self.record, frames)
            print(self.record)
        avatar = load_from_store(self.where.store, self.avatar)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        size = self.width, self.height
        with progress_bar("filming") as report:
            write_performance_video(avatar, frames, self.out, size, fps, report, sound, beside)


def drive_from_webcam(
    avatar: str,
    camera: str,
    where: ServerOptions,
    size: tuple[int, int],
    background: str,
    record: Path | None,
) -> None:
    """Drive an avatar live, in a window, until that is closed or the camera is gone.

    What the face does is written to `record`, if that is given.

    Raises InputError and what servers say.
    """
    check_background(background)
    import cv2  # noqa: F401  # before PyAV, whose libraries would keep its windows from opening

    from flexavatar.drive.signal import WEBCAM
    from flexavatar.drive.video import VideoDriver
    from flexavatar.formats.frame_sources import open_webcam
    from plugin_server.client.video_follower import follow_video

    name = f"{avatar}-webcam"
    width, height = size
    driver = VideoDriver()
    with (
        open_webcam(camera) as opened,
        connect_separate(where) as client,
        client.start_session(avatar, width, height, name=name, sources=[WEBCAM]) as session,
        _recording(record) as on_face,
    ):
        with follow_video(session, driver, opened.frames(), on_face) as follower:
            print(f"session {name} on {session.info.frame_address}: look quietly into the camera")
            keys = {RECALIBRATE_KEY: driver.recalibrate}
            help_text = "c in the window: calibrate again; q: stop"
            _show_live(session, name, follower.over, background, help_text, keys)


@contextmanager
def _recording(path: Path | None) -> Iterator[Callable[[Signal], object]]:
    """What takes every face of a live performance, and writes it with its time since the first."""
    from flexavatar.drive.performance import PerformanceWriter

    if path is None:
        yield lambda face: None
        return
    first_ns: list[int] = []
    with PerformanceWriter(path) as writer:

        def write(face: Signal) -> None:
            first_ns[:] = first_ns or [face.pts_ns]
            writer.write(replace(face, pts_ns=face.pts_ns - first_ns[0]))

        yield write
    print(path)


def drive_from_microphone(
    avatar: str,
    device: str,
    voice: VoiceConfig,
    where: ServerOptions,
    size: tuple[int, int],
    background: str,
) -> None:
    """Let an avatar say what a microphone hears, in a window, until that is closed.

    Raises InputError and what servers say.
    """
    check_background(background)
    import cv2  # noqa: F401  # as above

    from flexavatar.drive.signal import AUDIO
    from flexavatar.formats.microphone import RATE, open_microphone
    from plugin_server.client.voice_follower import follow_voice
    from plugin_server.pb import flexavatar_pb2 as pb

    name = f"{avatar}-microphone"
    style = pb.VoiceStyle(
        intensity=voice.intensity, emotion=voice.emotion, emotion_strength=voice.emotion_strength
    )
    with open_microphone(device) as opened, connect_separate(where) as client:
        starting = client.start_session(avatar, *size, name=name, sources=[AUDIO])
        with starting as session, follow_voice(session, opened.pieces(), RATE, style) as follower:
            print(f"session {name} on {session.info.frame_address}: speak")
            _show_live(session, name, follower.over, background, "q in the window: stop", {})


def _show_live(
    session: ClientSession,
    name: str,
    over: Event,
    background: str,
    help_text: str,
    keys: Mapping[int, Callable[[], object]],
) -> None:
    """A window until it is closed or all is over; without a screen until all is over."""
    if not has_screen():
        print(f"there is no screen here: flexavatar view {name} shows it elsewhere")
        while not over.wait(POLL_S):
            pass
        return
    print(help_text)
    with closing(session.reader(latest=True)) as reader:
        show_frames(reader, f"FlexAvatar: {name}", background, keys, over.is_set)


def track_performance(film: VideoFile, name: str, progress: Progress) -> list[Signal]:
    """What the person in a film does. Raises FaceError if there is none."""
    from flexavatar.drive.video import VideoDriver, video_performance

    driver, apart = VideoDriver(), max(1, film.frame_count // CALIBRATION_FRAMES)
    driver.calibrate_on(moment.rgb for moment in islice(film.frames(), 0, None, apart))
    faces = []
    for i, moment in enumerate(film.frames(), 1):
        faces.append((moment.pts_ns, driver.push(moment.rgb, moment.pts_ns)))
        progress(f"picture {i} of {film.frame_count}", min(i / film.frame_count, 1.0))
    if all(face is None for _, face in faces):
        raise FaceError(f"expected a face in {name}, found none in {len(faces)} pictures")
    return video_performance(faces)


class _SideVideo:
    """A film's pictures by their time, which rises: as high as the avatar's."""

    def __init__(self, moments: Iterator[TimedFrame], height: int) -> None:
        self._moments, self._height = moments, height
        self._shown = self._next = next(moments)

    def at(self, pts_ns: int) -> np.ndarray:
        """The newest picture that is there: [height, W, 3]."""
        import cv2

        while self._next is not None and self._next.pts_ns <= pts_ns:
            self._shown, self._next = self._next, next(self._moments, None)
        rgb = self._shown.rgb
        width = 2 * round(rgb.shape[1] * self._height / rgb.shape[0] / 2)
        return cv2.resize(rgb, (width, self._height), interpolation=cv2.INTER_AREA)
