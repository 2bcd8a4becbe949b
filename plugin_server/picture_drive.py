"""Pictures of a camera come in, one a call, and the faces in them drive a session."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flexavatar.drive.signal import Signal
from flexavatar.drive.video import VideoDriver
from flexavatar.errors import DriveError, ImageError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Session

LARGEST_PICTURE = 1 << 20
LONGEST_SIDE = 2048
FORMATS = ("JPEG", "PNG", "WEBP")


class PictureDrivers:
    """Whoever sits before the cameras of sessions, and one thread that looks at them.

    For the event loop.
    """

    def __init__(self) -> None:
        self._drivers: WeakKeyDictionary[Session, VideoDriver] = WeakKeyDictionary()
        self._thread = ThreadPoolExecutor(1, "pictures")

    async def drive(
        self, session: Session, request: pb.DrivePictureRequest
    ) -> pb.DrivePictureResponse:
        """Drive a session by a picture. Raises DriveError, ImageError, SessionNotFoundError."""
        if session.live is None:
            raise DriveError("expected a session with 'webcam' among its sources, got one without")
        if len(request.picture) > LARGEST_PICTURE:
            raise ImageError(f"picture: expected {LARGEST_PICTURE} bytes at most, got more")
        driver = self._drivers.get(session)
        if driver is None:
            driver = self._drivers[session] = VideoDriver()
        elif request.calibrate:
            driver.recalibrate()
        loop = asyncio.get_running_loop()
        face = await loop.run_in_executor(self._thread, _look, driver, request)
        if face is not None:
            session.drive(face)
        return _answer(face, driver.calibrated)

    def close(self) -> None:
        """Look at no more."""
        self._thread.shutdown(cancel_futures=True)


def _look(driver: VideoDriver, request: pb.DrivePictureRequest) -> Signal | None:
    return driver.push(read_picture(request.picture), request.pts_ns)


def read_picture(data: bytes) -> NDArray[np.uint8]:
    """A picture of a camera [H, W, 3]. Raises ImageError."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            if max(picture.size) > LONGEST_SIDE:
                raise ImageError(f"picture: expected {LONGEST_SIDE} pixels a side at most")
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"picture: expected one of {', '.join(FORMATS)}: {error}") from error


def _answer(face: Signal | None, calibrated: bool) -> pb.DrivePictureResponse:
    answer = pb.DrivePictureResponse(face=face is not None, calibrated=calibrated)
    if face is not None:
        answer.weights.update(face.named())
        if face.head is not None:
            answer.head.neck_pose.extend(face.head.neck_pose)
    return answer
