using System;
using System.Collections.Generic;

namespace FlexAvatar
{
    /// <summary>What the server sends in a session.</summary>
    [Flags]
    public enum StreamKinds
    {
        None = 0,
        Rgba8 = 1,
        Jpeg = 2,
        Depth = 4,
        Splats = 8,
    }

    /// <summary>The server refused a call, or none answers ("unavailable").</summary>
    public sealed class ServiceException : Exception
    {
        /// <summary>
        /// Connect's code: "not_found", "invalid_argument", "unauthenticated" ...
        /// </summary>
        public string Code { get; }

        public ServiceException(string code, string message, Exception inner = null)
            : base(message, inner) => Code = code;
    }

    /// <summary>
    /// What a session should show. Zeros and empty texts are the server's defaults.
    /// </summary>
    public sealed class SessionRequest
    {
        public string Avatar = "";
        public int Width, Height;
        public StreamKinds Kinds = StreamKinds.Rgba8;
        public float MaxFps;
        public int JpegQuality, KeyframeIntervalMs;
        /// <summary>
        /// A second avatar, which the drive signal's morph turns the first one into.
        /// </summary>
        public string MorphTo = "";
        /// <summary>Under which others find the session.</summary>
        public string Name = "";
        /// <summary>
        /// What drives the face, the first on top: "drive", "live-link-face" ...; none: Drive
        /// alone.
        /// </summary>
        public string[] Sources = Array.Empty<string>();
        /// <summary>The camera's turn around the head.</summary>
        public float OrbitYawDeg, OrbitPitchDeg;

        internal string ToJson()
        {
            var json = new JsonWriter()
                .Add("avatar", Avatar).Add("width", Width).Add("height", Height)
                    .Add("kinds", KindNames())
                .Add("maxFps", MaxFps).Add("jpegQuality", JpegQuality)
                    .Add("keyframeIntervalMs", KeyframeIntervalMs)
                .Add("morphTo", MorphTo).Add("name", Name);
            if (OrbitYawDeg != 0 || OrbitPitchDeg != 0)
                json.Add("camera", DriveJson.Orbit(OrbitYawDeg, OrbitPitchDeg));
            var sources = new List<JsonWriter>();
            foreach (string source in Sources)
                sources.Add(new JsonWriter().Add("name", source));
            return json.Add("sources", sources).ToString();
        }

        string[] KindNames()
        {
            var names = new List<string>();
            foreach (StreamKinds kind in Enum.GetValues(typeof(StreamKinds)))
                if (kind != StreamKinds.None && (Kinds & kind) != 0)
                    names.Add("STREAM_KIND_" + kind.ToString().ToUpperInvariant());
            return names.ToArray();
        }
    }

    /// <summary>A session as the server started it.</summary>
    public sealed class SessionInfo
    {
        public readonly string SessionId, OwnerToken, FrameAddress, DriveAddress;
        /// <summary>Subscribe to this: every message of the session.</summary>
        public readonly byte[] Topic;
        public readonly int Width, Height, Gaussians;
        /// <summary>
        /// World to camera (16, OpenCV, head frame) and intrinsics (9, pixels), row-major.
        /// </summary>
        public readonly float[] Viewmat, K;
        /// <summary>Frames are encrypted, which this package cannot read.</summary>
        public readonly bool Encrypted;

        internal SessionInfo(Json json)
        {
            SessionId = json["sessionId"].Text;
            OwnerToken = json["ownerToken"].Text;
            FrameAddress = json["frameAddress"].Text;
            DriveAddress = json["driveAddress"].Text;
            Topic = json["topic"].Base64;
            (Width, Height, Gaussians) =
                (json["width"].Int, json["height"].Int, json["gaussians"].Int);
            Viewmat = Floats(json["camera"]["viewmat"]);
            K = Floats(json["camera"]["K"]);
            Encrypted = !json["curve"].IsNothing;
            if (Topic.Length != WireHeader.TopicBytes || FrameAddress == "" || Viewmat.Length != 16
                || K.Length != 9)
                throw new ServiceException(
                    "internal", "StartSession: the server's answer has not the expected form");
        }

        /// <summary>Room for the largest message that the session can send.</summary>
        public int LargestMessage
        {
            get
            {
                long picture = 4L * Width * Height + 65536;
                long splats = (long)Gaussians * PackedSplat.Bytes + Chunks.BitmapBytes(Gaussians);
                return (int)Math.Min(int.MaxValue, WireHeader.Bytes + Math.Max(picture, splats));
            }
        }

        static float[] Floats(Json list)
        {
            var numbers = new float[list.Items.Count];
            for (int i = 0; i < numbers.Length; i++)
                numbers[i] = (float)list.Items[i].Number;
            return numbers;
        }
    }

    /// <summary>An avatar of the server.</summary>
    public sealed class AvatarInfo
    {
        public readonly string Name;
        public readonly int Gaussians;
        public readonly float CreateSeconds;

        internal AvatarInfo(Json json)
        {
            Name = json["name"].Text;
            Gaussians = json["gaussians"].Int;
            CreateSeconds = (float)json["createS"].Number;
        }
    }

    /// <summary>What a server is.</summary>
    public sealed class ServerInfo
    {
        public readonly string Version, Device;
        public readonly int WireVersion, Avatars, Sessions;
        /// <summary>The largest upload in bytes.</summary>
        public readonly long MessageBytes;

        internal ServerInfo(Json json)
        {
            Version = json["version"].Text;
            Device = json["device"].Text;
            WireVersion = json["wireVersion"].Int;
            (Avatars, Sessions) = (json["avatars"].Int, json["sessions"].Int);
            MessageBytes = (long)json["limits"]["messageBytes"].Number;
        }
    }
}
