"""Whoever sits at the webcam, live: frames go into a session, and a window shows the avatar."""

from __future__ import annotations

from contextlib import closing

from flexavatar.cli.connect import ServerOptions, connect_separate
from flexavatar.cli.view import check_background, has_screen, show_frames

AGAIN_KEY = ord("c")
POLL_S = 0.2


def drive_from_webcam(
    avatar: str, camera: str, where: ServerOptions, size: tuple[int, int], background: str
) -> None:
    """Until the window is closed or the camera is gone. Raises InputError and what servers say."""
    check_background(background)
    import cv2  # noqa: F401  # before PyAV, whose libraries would keep its windows from opening

    from flexavatar.drive.video import VideoDriver
    from flexavatar.formats.frame_sources import open_webcam
    from plugin_server.client.video_follower import WEBCAM, follow_video

    name = f"{avatar}-webcam"
    width, height = size
    driver = VideoDriver()
    with open_webcam(camera) as opened, connect_separate(where) as client:
        starting = client.start_session(avatar, width, height, name=name, sources=[WEBCAM])
        with starting as session, follow_video(session, driver, opened.moments()) as follower:
            print(f"session {name} on {session.info.frame_address}: look quietly into the camera")
            if not has_screen():
                print(f"there is no screen here: flexavatar view {name} shows it elsewhere")
                while not follower.over.wait(POLL_S):
                    pass
                return
            print("c in the window: calibrate again; q: stop")
            with closing(session.reader(latest=True)) as reader:
                keys = {AGAIN_KEY: driver.recalibrate}
                show_frames(reader, f"FlexAvatar: {avatar}", background, keys, follower.over.is_set)
