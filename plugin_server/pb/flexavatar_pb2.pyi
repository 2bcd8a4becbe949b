from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_UNSPECIFIED: _ClassVar[Quality]
    QUALITY_FULL: _ClassVar[Quality]
    QUALITY_QUICK: _ClassVar[Quality]

class Model(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_UNSPECIFIED: _ClassVar[Model]
    MODEL_QUERY_LRM: _ClassVar[Model]
    MODEL_BIAS_SINK: _ClassVar[Model]
    MODEL_FIT: _ClassVar[Model]

class StreamKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_KIND_UNSPECIFIED: _ClassVar[StreamKind]
    STREAM_KIND_RGBA8: _ClassVar[StreamKind]
    STREAM_KIND_JPEG: _ClassVar[StreamKind]
    STREAM_KIND_DEPTH: _ClassVar[StreamKind]
    STREAM_KIND_SPLATS: _ClassVar[StreamKind]
QUALITY_UNSPECIFIED: Quality
QUALITY_FULL: Quality
QUALITY_QUICK: Quality
MODEL_UNSPECIFIED: Model
MODEL_QUERY_LRM: Model
MODEL_BIAS_SINK: Model
MODEL_FIT: Model
STREAM_KIND_UNSPECIFIED: StreamKind
STREAM_KIND_RGBA8: StreamKind
STREAM_KIND_JPEG: StreamKind
STREAM_KIND_DEPTH: StreamKind
STREAM_KIND_SPLATS: StreamKind

class CreateAvatarHeader(_message.Message):
    __slots__ = ("name", "quality", "replace", "model", "keep")
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    name: str
    quality: Quality
    replace: bool
    model: Model
    keep: bool
    def __init__(self, name: _Optional[str] = ..., quality: _Optional[_Union[Quality, str]] = ..., replace: _Optional[bool] = ..., model: _Optional[_Union[Model, str]] = ..., keep: _Optional[bool] = ...) -> None: ...

class PhotoChunk(_message.Message):
    __slots__ = ("photo", "data")
    PHOTO_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    photo: int
    data: bytes
    def __init__(self, photo: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class CreateAvatarRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: CreateAvatarHeader
    chunk: PhotoChunk
    def __init__(self, header: _Optional[_Union[CreateAvatarHeader, _Mapping]] = ..., chunk: _Optional[_Union[PhotoChunk, _Mapping]] = ...) -> None: ...

class CreateProgress(_message.Message):
    __slots__ = ("stage", "fraction", "elapsed_ms", "preview")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    stage: str
    fraction: float
    elapsed_ms: int
    preview: str
    def __init__(self, stage: _Optional[str] = ..., fraction: _Optional[float] = ..., elapsed_ms: _Optional[int] = ..., preview: _Optional[str] = ...) -> None: ...

class CreateAvatarResponse(_message.Message):
    __slots__ = ("progress", "avatar")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    progress: CreateProgress
    avatar: Avatar
    def __init__(self, progress: _Optional[_Union[CreateProgress, _Mapping]] = ..., avatar: _Optional[_Union[Avatar, _Mapping]] = ...) -> None: ...

class CreateAvatarOnceRequest(_message.Message):
    __slots__ = ("header", "photos")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    header: CreateAvatarHeader
    photos: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, header: _Optional[_Union[CreateAvatarHeader, _Mapping]] = ..., photos: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ListCreationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCreationsResponse(_message.Message):
    __slots__ = ("creations",)
    CREATIONS_FIELD_NUMBER: _ClassVar[int]
    creations: _containers.RepeatedCompositeFieldContainer[CreationStatus]
    def __init__(self, creations: _Optional[_Iterable[_Union[CreationStatus, _Mapping]]] = ...) -> None: ...

class CreationStatus(_message.Message):
    __slots__ = ("name", "progress", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    progress: CreateProgress
    error: str
    def __init__(self, name: _Optional[str] = ..., progress: _Optional[_Union[CreateProgress, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class CancelCreationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CancelCreationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Avatar(_message.Message):
    __slots__ = ("name", "gaussians", "photos", "created_unix_ms", "create_s", "metrics", "model", "warnings", "preview")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    GAUSSIANS_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_S_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    name: str
    gaussians: int
    photos: int
    created_unix_ms: int
    create_s: float
    metrics: _containers.ScalarMap[str, float]
    model: Model
    warnings: _containers.RepeatedScalarFieldContainer[str]
    preview: bool
    def __init__(self, name: _Optional[str] = ..., gaussians: _Optional[int] = ..., photos: _Optional[int] = ..., created_unix_ms: _Optional[int] = ..., create_s: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., model: _Optional[_Union[Model, str]] = ..., warnings: _Optional[_Iterable[str]] = ..., preview: _Optional[bool] = ...) -> None: ...

class StoredAvatar(_message.Message):
    __slots__ = ("name", "record", "files")
    class FilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    name: str
    record: bytes
    files: _containers.ScalarMap[str, bytes]
    def __init__(self, name: _Optional[str] = ..., record: _Optional[bytes] = ..., files: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class InterpolateAvatarsRequest(_message.Message):
    __slots__ = ("a", "b", "share", "name", "replace")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    share: float
    name: str
    replace: bool
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., share: _Optional[float] = ..., name: _Optional[str] = ..., replace: _Optional[bool] = ...) -> None: ...

class GetAvatarRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAvatarsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAvatarsResponse(_message.Message):
    __slots__ = ("avatars",)
    AVATARS_FIELD_NUMBER: _ClassVar[int]
    avatars: _containers.RepeatedCompositeFieldContainer[Avatar]
    def __init__(self, avatars: _Optional[_Iterable[_Union[Avatar, _Mapping]]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("gains", "smoothing", "mirror")
    class GainsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    GAINS_FIELD_NUMBER: _ClassVar[int]
    SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    gains: _containers.ScalarMap[str, float]
    smoothing: float
    mirror: bool
    def __init__(self, gains: _Optional[_Mapping[str, float]] = ..., smoothing: _Optional[float] = ..., mirror: _Optional[bool] = ...) -> None: ...

class GetProfileRequest(_message.Message):
    __slots__ = ("avatar",)
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    avatar: str
    def __init__(self, avatar: _Optional[str] = ...) -> None: ...

class SetProfileRequest(_message.Message):
    __slots__ = ("avatar", "profile")
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    avatar: str
    profile: Profile
    def __init__(self, avatar: _Optional[str] = ..., profile: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class DeleteAvatarRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteAvatarResponse(_message.Message):
    __slots__ = ("ended_sessions",)
    ENDED_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    ended_sessions: int
    def __init__(self, ended_sessions: _Optional[int] = ...) -> None: ...

class Orbit(_message.Message):
    __slots__ = ("yaw_deg", "pitch_deg")
    YAW_DEG_FIELD_NUMBER: _ClassVar[int]
    PITCH_DEG_FIELD_NUMBER: _ClassVar[int]
    yaw_deg: float
    pitch_deg: float
    def __init__(self, yaw_deg: _Optional[float] = ..., pitch_deg: _Optional[float] = ...) -> None: ...

class PinholeCamera(_message.Message):
    __slots__ = ("viewmat", "K")
    VIEWMAT_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    viewmat: _containers.RepeatedScalarFieldContainer[float]
    K: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, viewmat: _Optional[_Iterable[float]] = ..., K: _Optional[_Iterable[float]] = ...) -> None: ...

class Camera(_message.Message):
    __slots__ = ("orbit", "pinhole")
    ORBIT_FIELD_NUMBER: _ClassVar[int]
    PINHOLE_FIELD_NUMBER: _ClassVar[int]
    orbit: Orbit
    pinhole: PinholeCamera
    def __init__(self, orbit: _Optional[_Union[Orbit, _Mapping]] = ..., pinhole: _Optional[_Union[PinholeCamera, _Mapping]] = ...) -> None: ...

class StartSessionRequest(_message.Message):
    __slots__ = ("avatar", "width", "height", "kinds", "camera", "max_fps", "jpeg_quality", "keyframe_interval_ms", "morph_to", "name", "sources", "resume", "profile")
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    MAX_FPS_FIELD_NUMBER: _ClassVar[int]
    JPEG_QUALITY_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    MORPH_TO_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    avatar: str
    width: int
    height: int
    kinds: _containers.RepeatedScalarFieldContainer[StreamKind]
    camera: Camera
    max_fps: float
    jpeg_quality: int
    keyframe_interval_ms: int
    morph_to: str
    name: str
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    resume: Resume
    profile: bool
    def __init__(self, avatar: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[StreamKind, str]]] = ..., camera: _Optional[_Union[Camera, _Mapping]] = ..., max_fps: _Optional[float] = ..., jpeg_quality: _Optional[int] = ..., keyframe_interval_ms: _Optional[int] = ..., morph_to: _Optional[str] = ..., name: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., profile: _Optional[bool] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("session_id", "owner_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("name", "shares", "gains")
    class SharesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class GainsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    GAINS_FIELD_NUMBER: _ClassVar[int]
    name: str
    shares: _containers.ScalarMap[str, float]
    gains: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., shares: _Optional[_Mapping[str, float]] = ..., gains: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("session_id", "owner_token", "frame_address", "topic", "width", "height", "kinds", "camera", "gaussians", "curve", "drive_address", "address")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    GAUSSIANS_FIELD_NUMBER: _ClassVar[int]
    CURVE_FIELD_NUMBER: _ClassVar[int]
    DRIVE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    frame_address: str
    topic: bytes
    width: int
    height: int
    kinds: _containers.RepeatedScalarFieldContainer[StreamKind]
    camera: PinholeCamera
    gaussians: int
    curve: CurveKeys
    drive_address: str
    address: str
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ..., frame_address: _Optional[str] = ..., topic: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[StreamKind, str]]] = ..., camera: _Optional[_Union[PinholeCamera, _Mapping]] = ..., gaussians: _Optional[int] = ..., curve: _Optional[_Union[CurveKeys, _Mapping]] = ..., drive_address: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class CurveKeys(_message.Message):
    __slots__ = ("server_public_key", "client_public_key", "client_secret_key")
    SERVER_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    server_public_key: str
    client_public_key: str
    client_secret_key: str
    def __init__(self, server_public_key: _Optional[str] = ..., client_public_key: _Optional[str] = ..., client_secret_key: _Optional[str] = ...) -> None: ...

class ArkitWeights(_message.Message):
    __slots__ = ("weights",)
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.ScalarMap[str, float]
    def __init__(self, weights: _Optional[_Mapping[str, float]] = ...) -> None: ...

class FlameCodes(_message.Message):
    __slots__ = ("expression", "jaw_pose", "leye_pose", "reye_pose", "eyelids", "correctives")
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    JAW_POSE_FIELD_NUMBER: _ClassVar[int]
    LEYE_POSE_FIELD_NUMBER: _ClassVar[int]
    REYE_POSE_FIELD_NUMBER: _ClassVar[int]
    EYELIDS_FIELD_NUMBER: _ClassVar[int]
    CORRECTIVES_FIELD_NUMBER: _ClassVar[int]
    expression: _containers.RepeatedScalarFieldContainer[float]
    jaw_pose: _containers.RepeatedScalarFieldContainer[float]
    leye_pose: _containers.RepeatedScalarFieldContainer[float]
    reye_pose: _containers.RepeatedScalarFieldContainer[float]
    eyelids: _containers.RepeatedScalarFieldContainer[float]
    correctives: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, expression: _Optional[_Iterable[float]] = ..., jaw_pose: _Optional[_Iterable[float]] = ..., leye_pose: _Optional[_Iterable[float]] = ..., reye_pose: _Optional[_Iterable[float]] = ..., eyelids: _Optional[_Iterable[float]] = ..., correctives: _Optional[_Iterable[float]] = ...) -> None: ...

class HeadPose(_message.Message):
    __slots__ = ("neck_pose", "global_orient", "transl")
    NECK_POSE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_ORIENT_FIELD_NUMBER: _ClassVar[int]
    TRANSL_FIELD_NUMBER: _ClassVar[int]
    neck_pose: _containers.RepeatedScalarFieldContainer[float]
    global_orient: _containers.RepeatedScalarFieldContainer[float]
    transl: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, neck_pose: _Optional[_Iterable[float]] = ..., global_orient: _Optional[_Iterable[float]] = ..., transl: _Optional[_Iterable[float]] = ...) -> None: ...

class Morph(_message.Message):
    __slots__ = ("share",)
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share: float
    def __init__(self, share: _Optional[float] = ...) -> None: ...

class DriveRequest(_message.Message):
    __slots__ = ("session_id", "owner_token", "pts_ns", "head", "arkit", "flame", "source", "mouth_hidden", "camera", "morph")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PTS_NS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    ARKIT_FIELD_NUMBER: _ClassVar[int]
    FLAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MOUTH_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    MORPH_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    pts_ns: int
    head: HeadPose
    arkit: ArkitWeights
    flame: FlameCodes
    source: str
    mouth_hidden: float
    camera: Camera
    morph: Morph
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ..., pts_ns: _Optional[int] = ..., head: _Optional[_Union[HeadPose, _Mapping]] = ..., arkit: _Optional[_Union[ArkitWeights, _Mapping]] = ..., flame: _Optional[_Union[FlameCodes, _Mapping]] = ..., source: _Optional[str] = ..., mouth_hidden: _Optional[float] = ..., camera: _Optional[_Union[Camera, _Mapping]] = ..., morph: _Optional[_Union[Morph, _Mapping]] = ...) -> None: ...

class DriveResponse(_message.Message):
    __slots__ = ("pts_ns", "seq", "received", "replaced", "frame_ms", "ending", "ends_in_s")
    PTS_NS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    FRAME_MS_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    ENDS_IN_S_FIELD_NUMBER: _ClassVar[int]
    pts_ns: int
    seq: int
    received: int
    replaced: int
    frame_ms: float
    ending: str
    ends_in_s: float
    def __init__(self, pts_ns: _Optional[int] = ..., seq: _Optional[int] = ..., received: _Optional[int] = ..., replaced: _Optional[int] = ..., frame_ms: _Optional[float] = ..., ending: _Optional[str] = ..., ends_in_s: _Optional[float] = ...) -> None: ...

class DrivePictureRequest(_message.Message):
    __slots__ = ("session_id", "owner_token", "pts_ns", "picture", "calibrate")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PTS_NS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    pts_ns: int
    picture: bytes
    calibrate: bool
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ..., pts_ns: _Optional[int] = ..., picture: _Optional[bytes] = ..., calibrate: _Optional[bool] = ...) -> None: ...

class DrivePictureResponse(_message.Message):
    __slots__ = ("face", "calibrated", "weights", "head")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    FACE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    face: bool
    calibrated: bool
    weights: _containers.ScalarMap[str, float]
    head: HeadPose
    def __init__(self, face: _Optional[bool] = ..., calibrated: _Optional[bool] = ..., weights: _Optional[_Mapping[str, float]] = ..., head: _Optional[_Union[HeadPose, _Mapping]] = ...) -> None: ...

class VoiceStyle(_message.Message):
    __slots__ = ("intensity", "emotion", "emotion_strength")
    INTENSITY_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    EMOTION_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    intensity: float
    emotion: str
    emotion_strength: float
    def __init__(self, intensity: _Optional[float] = ..., emotion: _Optional[str] = ..., emotion_strength: _Optional[float] = ...) -> None: ...

class AudioHeader(_message.Message):
    __slots__ = ("session_id", "owner_token", "sample_rate", "channels", "style", "pts_ns", "live")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    PTS_NS_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    sample_rate: int
    channels: int
    style: VoiceStyle
    pts_ns: int
    live: bool
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ..., style: _Optional[_Union[VoiceStyle, _Mapping]] = ..., pts_ns: _Optional[int] = ..., live: _Optional[bool] = ...) -> None: ...

class DriveAudioRequest(_message.Message):
    __slots__ = ("header", "chunk", "style", "interrupt", "resume")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    INTERRUPT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    header: AudioHeader
    chunk: bytes
    style: VoiceStyle
    interrupt: AudioInterrupt
    resume: AudioResume
    def __init__(self, header: _Optional[_Union[AudioHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., style: _Optional[_Union[VoiceStyle, _Mapping]] = ..., interrupt: _Optional[_Union[AudioInterrupt, _Mapping]] = ..., resume: _Optional[_Union[AudioResume, _Mapping]] = ...) -> None: ...

class AudioInterrupt(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AudioResume(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DriveAudioOnceRequest(_message.Message):
    __slots__ = ("header", "position", "chunk", "last")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    header: AudioHeader
    position: int
    chunk: bytes
    last: bool
    def __init__(self, header: _Optional[_Union[AudioHeader, _Mapping]] = ..., position: _Optional[int] = ..., chunk: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class InterruptAudioRequest(_message.Message):
    __slots__ = ("session_id", "owner_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ...) -> None: ...

class DriveAudioResponse(_message.Message):
    __slots__ = ("accepted_samples", "rendered_samples", "skipped_samples", "discarded_samples", "gaps", "gap_ms", "started_unix_ns", "look_ahead_ms", "pts_ns")
    ACCEPTED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    RENDERED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    GAP_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    LOOK_AHEAD_MS_FIELD_NUMBER: _ClassVar[int]
    PTS_NS_FIELD_NUMBER: _ClassVar[int]
    accepted_samples: int
    rendered_samples: int
    skipped_samples: int
    discarded_samples: int
    gaps: int
    gap_ms: int
    started_unix_ns: int
    look_ahead_ms: int
    pts_ns: int
    def __init__(self, accepted_samples: _Optional[int] = ..., rendered_samples: _Optional[int] = ..., skipped_samples: _Optional[int] = ..., discarded_samples: _Optional[int] = ..., gaps: _Optional[int] = ..., gap_ms: _Optional[int] = ..., started_unix_ns: _Optional[int] = ..., look_ahead_ms: _Optional[int] = ..., pts_ns: _Optional[int] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id", "owner_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    owner_token: str
    def __init__(self, session_id: _Optional[str] = ..., owner_token: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    def __init__(self, frames: _Optional[int] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[SessionStatus]
    def __init__(self, sessions: _Optional[_Iterable[_Union[SessionStatus, _Mapping]]] = ...) -> None: ...

class SessionStatus(_message.Message):
    __slots__ = ("session_id", "name", "avatars", "width", "height", "kinds", "max_fps", "started_unix_ms", "frames", "frame_ms", "load", "driven_s")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AVATARS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    MAX_FPS_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAME_MS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    DRIVEN_S_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    name: str
    avatars: _containers.RepeatedScalarFieldContainer[str]
    width: int
    height: int
    kinds: _containers.RepeatedScalarFieldContainer[StreamKind]
    max_fps: float
    started_unix_ms: int
    frames: int
    frame_ms: float
    load: float
    driven_s: float
    def __init__(self, session_id: _Optional[str] = ..., name: _Optional[str] = ..., avatars: _Optional[_Iterable[str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[StreamKind, str]]] = ..., max_fps: _Optional[float] = ..., started_unix_ms: _Optional[int] = ..., frames: _Optional[int] = ..., frame_ms: _Optional[float] = ..., load: _Optional[float] = ..., driven_s: _Optional[float] = ...) -> None: ...

class TerminateSessionRequest(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Limits(_message.Message):
    __slots__ = ("photos", "photo_bytes", "upload_bytes", "message_bytes", "width", "height", "sessions", "creations_running", "creations_waiting", "video_bytes", "video_seconds", "audio_seconds", "emotions", "idle_timeout_s")
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    PHOTO_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    CREATIONS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    CREATIONS_WAITING_FIELD_NUMBER: _ClassVar[int]
    VIDEO_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIDEO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EMOTIONS_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    photos: int
    photo_bytes: int
    upload_bytes: int
    message_bytes: int
    width: int
    height: int
    sessions: int
    creations_running: int
    creations_waiting: int
    video_bytes: int
    video_seconds: int
    audio_seconds: int
    emotions: _containers.RepeatedScalarFieldContainer[str]
    idle_timeout_s: float
    def __init__(self, photos: _Optional[int] = ..., photo_bytes: _Optional[int] = ..., upload_bytes: _Optional[int] = ..., message_bytes: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., sessions: _Optional[int] = ..., creations_running: _Optional[int] = ..., creations_waiting: _Optional[int] = ..., video_bytes: _Optional[int] = ..., video_seconds: _Optional[int] = ..., audio_seconds: _Optional[int] = ..., emotions: _Optional[_Iterable[str]] = ..., idle_timeout_s: _Optional[float] = ...) -> None: ...

class Gateway(_message.Message):
    __slots__ = ("source", "address", "sender", "subject", "frames", "refused", "silent_s", "problem", "late", "skipped")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SILENT_S_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    source: str
    address: str
    sender: str
    subject: str
    frames: int
    refused: int
    silent_s: float
    problem: str
    late: int
    skipped: int
    def __init__(self, source: _Optional[str] = ..., address: _Optional[str] = ..., sender: _Optional[str] = ..., subject: _Optional[str] = ..., frames: _Optional[int] = ..., refused: _Optional[int] = ..., silent_s: _Optional[float] = ..., problem: _Optional[str] = ..., late: _Optional[int] = ..., skipped: _Optional[int] = ...) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ("version", "wire_version", "device", "frame_address", "avatars", "sessions", "creations", "limits", "gateways", "drive", "problems", "stopping", "worker", "load", "device_reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FRAME_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AVATARS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    CREATIONS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    DRIVE_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    DEVICE_REASON_FIELD_NUMBER: _ClassVar[int]
    version: str
    wire_version: int
    device: str
    frame_address: str
    avatars: int
    sessions: int
    creations: int
    limits: Limits
    gateways: _containers.RepeatedCompositeFieldContainer[Gateway]
    drive: Gateway
    problems: _containers.RepeatedScalarFieldContainer[str]
    stopping: bool
    worker: int
    load: float
    device_reason: str
    def __init__(self, version: _Optional[str] = ..., wire_version: _Optional[int] = ..., device: _Optional[str] = ..., frame_address: _Optional[str] = ..., avatars: _Optional[int] = ..., sessions: _Optional[int] = ..., creations: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., gateways: _Optional[_Iterable[_Union[Gateway, _Mapping]]] = ..., drive: _Optional[_Union[Gateway, _Mapping]] = ..., problems: _Optional[_Iterable[str]] = ..., stopping: _Optional[bool] = ..., worker: _Optional[int] = ..., load: _Optional[float] = ..., device_reason: _Optional[str] = ...) -> None: ...
