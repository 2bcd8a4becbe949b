"""Every error that a caller can cause or must handle. A bug raises something else, stays loud."""


class FlexAvatarError(Exception):
    """Base of all errors that are answered with a message instead of a traceback."""


class InputError(FlexAvatarError):
    """What came in cannot be used: expected one thing, got another."""


class ShapeError(InputError):
    """An array has the wrong rank or size."""


class ImageError(InputError):
    """Bytes are not a picture that can be read, or it is too large or too small."""


class FaceError(InputError):
    """A photo shows no face, several faces, or not the same person as the others."""


class DriveError(InputError):
    """A drive signal has an unknown name, a value that is not finite, or is out of range."""


class AssetError(FlexAvatarError):
    """A rig, weights or avatar file is missing, damaged or of an unknown version."""


class AvatarNotFoundError(FlexAvatarError):
    """No avatar has this name."""


class SessionNotFoundError(FlexAvatarError):
    """No session has this name; it was never started, or it has ended."""


class BusyError(FlexAvatarError):
    """A limit of the server is reached: sessions, creations under way, or upload size."""


class ConflictError(FlexAvatarError):
    """The thing exists already, or belongs to another client."""
