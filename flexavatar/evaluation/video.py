"""From a camera's pictures to frames: does the avatar do what the person does, and how soon?

A video plays at its own pace in place of a camera; a server of its own process draws, on the other
core; every frame that comes back is shown to MediaPipe.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.signal import WEBCAM
from flexavatar.drive.video import VideoDriver
from flexavatar.evaluation.live import (
    ScoreLines,
    Scores,
    draw_score_lines,
    face_scores,
    score_lines,
    shape_correlations,
)
from flexavatar.evaluation.report import Item, Picture
from flexavatar.formats.frame_sources import TimedFrame, VideoFile
from flexavatar.progress import Progress, no_progress
from flexavatar.render.composite import over_background
from flexavatar.types import NS_PER_S
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.live_performance import Arrival, NoFramesError, recording
from plugin_server.client.server_process import server_process
from plugin_server.client.video_follower import VideoFollower, follow_video

ABOUT = """Videos play at their own pace in place of a webcam; the person in them drives an avatar
of somebody else through a server, while that draws. Every frame that comes back is shown to
MediaPipe, and its scores are correlated with those that MediaPipe gives the video's own picture of
the same time; blink and smile are the means of both sides, and a dash stands where the person
hardly does it. The lag is the shift in time at which both agree best, of the shape that agrees
most; latency is from a picture's coming in to the decoded frame that carries its time.

`shapes asked` says what is read of the avatar when single shapes and mixtures are asked of it."""
LEAST_DEVIATION = 0.04
"""Standard deviation of a score below which there is nothing to follow."""
LAGS_S = np.arange(0.0, 0.5, 0.005)
CALIBRATION_S = 2.0


@dataclass(frozen=True)
class ShownMoment:
    """A picture of the video, and the frame that follows it."""

    arrival: Arrival
    moment: TimedFrame


class PlayedVideo:
    """A video in place of a camera: pictures at their times, without those that nobody took."""

    def __init__(self, film: VideoFile) -> None:
        self.moments: list[TimedFrame] = [*film.frames()]
        self.played: list[TimedFrame] = []
        """With the monotonic time at which each was handed out."""

    def play(self) -> Iterator[TimedFrame]:
        """Hand out the pictures in real time, once."""
        began_ns = time.monotonic_ns()
        times = [moment.pts_ns for moment in self.moments]
        place = 0
        while place < len(times):
            time.sleep(max(0, began_ns + times[place] - time.monotonic_ns()) / NS_PER_S)
            place = bisect_right(times, time.monotonic_ns() - began_ns) - 1
            moment = TimedFrame(self.moments[place].rgb, began_ns + times[place])
            self.played.append(moment)
            yield moment
            place += 1


def evaluate_video(
    store: Path,
    avatar: str,
    video: Path,
    size: tuple[int, int],
    progress: Progress = no_progress,
) -> Item:
    """Drive a stored avatar by one video. Raises ImageError, NoFramesError."""
    progress("playing", 0.0)
    source = PlayedVideo(VideoFile(video))
    follower, arrivals = _drive_server(store, avatar, source, size)
    shown = _match_moments(source.played, arrivals)
    if not shown:
        raise NoFramesError(f"{video.name}: no frame showed what was seen")
    own, seen = _scores_of_both(source, shown, progress)
    both = score_lines([own[one.moment.pts_ns] or {} for one in shown], seen)
    figures = _without_still_shapes(shape_correlations(both), both)
    latencies = [one.arrival.latency_ms for one in shown]
    seconds = source.moments[-1].pts_ns / NS_PER_S
    figures |= {
        "lag_ms": _lag_ms(own, shown, seen),
        "latency_p50_ms": float(np.percentile(latencies, 50)),
        "latency_p99_ms": float(np.percentile(latencies, 99)),
        "looked_fps": follower.pictures / seconds,
        "fps": len(arrivals) / seconds,
        "unseen": float(sum(one is None for one in seen)),
    }
    picture = Picture("the person (grey) and the avatar (blue)", draw_score_lines(both))
    return Item(video.name, figures, [picture, *_moment_pictures(shown)])


def _drive_server(
    store: Path, avatar: str, source: PlayedVideo, size: tuple[int, int]
) -> tuple[VideoFollower, list[Arrival]]:
    with server_process(store) as address, FlexAvatarClient(address) as client:
        with client.start_session(avatar, *size, sources=[WEBCAM]) as session:
            with recording(session.reader()) as screen:
                driver = VideoDriver()
                driver.push(source.moments[0].rgb, 0)  # what is loaded at first
                driver = VideoDriver()
                with follow_video(session, driver, source.play()) as follower:
                    follower.over.wait()
    return follower, screen.arrivals


def _match_moments(moments: Sequence[TimedFrame], arrivals: Sequence[Arrival]) -> list[ShownMoment]:
    """The first frame of each picture's time, after the calibration."""
    by_time = {moment.pts_ns: moment for moment in moments}
    start_ns = moments[0].pts_ns + round(CALIBRATION_S * NS_PER_S)
    found: dict[int, ShownMoment] = {}
    for arrival in arrivals:
        if arrival.pts_ns in by_time and arrival.pts_ns >= start_ns:
            found.setdefault(arrival.pts_ns, ShownMoment(arrival, by_time[arrival.pts_ns]))
    return [*found.values()]


def _scores_of_both(
    source: PlayedVideo, shown: Sequence[ShownMoment], progress: Progress
) -> tuple[Mapping[int, Scores | None], list[Scores | None]]:
    """MediaPipe's scores of the video's pictures by their time, and of the avatar."""
    own: dict[int, Scores | None] = {}
    for i, moment in enumerate(source.played):
        progress("seeing the person", 0.5 * i / len(source.played))
        own[moment.pts_ns] = face_scores(moment.rgb)
    seen: list[Scores | None] = []
    for i, one in enumerate(shown):
        progress("seeing the avatar", 0.5 + 0.5 * i / len(shown))
        seen.append(face_scores(over_background(one.arrival.rgba)))
    return own, seen


def _without_still_shapes(
    figures: dict[str, float], both: Mapping[str, ScoreLines]
) -> dict[str, float]:
    """Correlations, NaN for shapes in which the person hardly moves."""
    still = {name for name, (asked, _) in both.items() if np.nanstd(asked) < LEAST_DEVIATION}
    return {k: np.nan if k.removesuffix("_correlation") in still else v for k, v in figures.items()}


def _lag_ms(
    own: Mapping[int, Scores | None], shown: Sequence[ShownMoment], seen: Sequence[Scores | None]
) -> float:
    """Shift in time at which avatar and person agree best, milliseconds; NaN if nothing moves."""
    times = np.array([*own]) / NS_PER_S
    arrived = np.array([one.arrival.arrived_ns for one in shown]) / NS_PER_S
    source = score_lines([one or {} for one in own.values()], [*own.values()])
    target = score_lines([one or {} for one in seen], seen)
    fits = []
    for name, (_, line) in source.items():
        there = np.isfinite(target[name][1])
        if np.nanstd(line) >= LEAST_DEVIATION and there.any():
            known = np.isfinite(line)
            shifted = [np.interp(arrived - lag, times[known], line[known]) for lag in LAGS_S]
            fits.append([np.corrcoef(row[there], target[name][1][there])[0, 1] for row in shifted])
    if not fits:
        return float("nan")
    return float(1000 * LAGS_S[int(np.argmax(max(fits, key=max)))])


def _moment_pictures(shown: Sequence[ShownMoment]) -> list[Picture]:
    """Six instants, the person beside the avatar."""
    pictures = []
    for place in np.linspace(0, len(shown) - 1, 6).astype(int):
        one = shown[place]
        avatar = over_background(one.arrival.rgba)
        pictures.append(Picture(f"picture {place}", beside(one.moment.rgb, avatar)))
    return pictures


def beside(rgb: NDArray[np.uint8], avatar: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture, made as high as the avatar's, to its left."""
    import cv2

    height = avatar.shape[0]
    size = round(rgb.shape[1] * height / rgb.shape[0]), height
    shrunk = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.concatenate((np.asarray(shrunk, np.uint8), avatar), 1)
