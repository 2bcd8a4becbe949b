using System;
using static FlexAvatar.LittleEndian;

namespace FlexAvatar
{
    /// <summary>What the payload of a message is.</summary>
    public enum MessageKind : ushort
    {
        End = 0,
        Rgba8 = 1,
        Jpeg = 2,
        Depth = 3,
        SplatsKey = 4,
        SplatsDelta = 5,
    }

    /// <summary>A message is malformed, truncated or of another version.</summary>
    public sealed class WireException : Exception
    {
        public WireException(string message) : base(message) { }
    }

    /// <summary>The fixed start of every message, see proto/wire.md.</summary>
    public struct WireHeader
    {
        public const int Bytes = 112;
        public const int TopicBytes = 24;
        public const ushort Version = 1;
        public const int MaxSide = 16384;
        public const int MaxSplats = 1 << 24;
        const uint Magic = 0x41584C46; // "FLXA"
        const float LargestHalf = 65504f; // the largest number that float16 holds
        const int JpegOverhead = 65536;
        const int MaxReason = 4096;

        /// <summary>The 16 hex digits of the session as they stand in the message.</summary>
        public ulong SessionLow, SessionHigh;
        public MessageKind Kind;
        /// <summary>Nothing new was driven: the same instant again.</summary>
        public bool Repeated;
        /// <summary>Number of the frame; all kinds of one frame share it; wraps.</summary>
        public uint Seq;
        /// <summary>Time of the drive signal shown, on its sender's clock.</summary>
        public ulong PtsNs;
        /// <summary>When the server sent it, Unix time.</summary>
        public ulong ServerNs;
        public int Width, Height, Count;
        /// <summary>The keyframe that a delta changes.</summary>
        public uint BaseSeq;
        public int PayloadBytes;
        /// <summary>Natural logarithm of the smallest and largest scale in metres.</summary>
        public float ScaleMin, ScaleMax;
        /// <summary>Smallest and largest x, y, z of the means, head frame, metres.</summary>
        public Float3 BoundsMin, BoundsMax;

        public readonly bool IsPicture => Kind >= MessageKind.Rgba8 && Kind <= MessageKind.Depth;
        public readonly bool IsSplats =>
            Kind == MessageKind.SplatsKey || Kind == MessageKind.SplatsDelta;

        /// <summary>The header of a whole message, checked. Throws WireException.</summary>
        public static WireHeader Read(ReadOnlySpan<byte> message)
        {
            if (message.Length < Bytes)
                throw new WireException(
                    $"message: expected {Bytes} bytes or more, got {message.Length}");
            CheckStart(message);
            var header = ReadFields(message);
            header.CheckSizes(message.Length - Bytes);
            return header;
        }

        /// <summary>Put the header at the start of a message.</summary>
        public readonly void Write(Span<byte> message)
        {
            message.Slice(0, Bytes).Clear();
            Put32(message, 0, Magic);
            Put16(message, 4, Version);
            Put64(message, 8, SessionLow);
            Put64(message, 16, SessionHigh);
            Put16(message, 24, (ushort)Kind);
            message[26] = Repeated ? (byte)1 : (byte)0;
            Put32(message, 28, Seq);
            Put64(message, 32, PtsNs);
            Put64(message, 40, ServerNs);
            Put32(message, 48, (uint)Width);
            Put32(message, 52, (uint)Height);
            Put32(message, 56, (uint)Count);
            Put32(message, 60, BaseSeq);
            Put32(message, 64, (uint)PayloadBytes);
            Put32(message, 68, Bytes);
            PutFloat(message, 72, ScaleMin);
            PutFloat(message, 76, ScaleMax);
            PutFloat3(message, 80, BoundsMin);
            PutFloat3(message, 92, BoundsMax);
        }

        /// <summary>Whether the message starts with this topic of 24 bytes.</summary>
        public readonly bool IsOf(ReadOnlySpan<byte> topic) =>
            topic.Length == TopicBytes && Get64(topic, 8) == SessionLow
                && Get64(topic, 16) == SessionHigh;

        static void CheckStart(ReadOnlySpan<byte> message)
        {
            if (Get32(message, 0) != Magic)
                throw new WireException("message: expected to start with FLXA");
            int version = Get16(message, 4);
            uint size = Get32(message, 68);
            if (version != Version || size != Bytes)
                throw new WireException(
                    $"message: expected version {Version} with a header of {Bytes},"
                    + $" got {version} with {size}");
            for (int i = 8; i < TopicBytes; i++)
                if (!IsHexDigit(message[i]))
                    throw new WireException("message: expected 16 hex digits as session");
            int kind = Get16(message, 24);
            if (kind > (int)MessageKind.SplatsDelta)
                throw new WireException($"message: unknown kind {kind}");
        }

        static WireHeader ReadFields(ReadOnlySpan<byte> message) => new WireHeader
        {
            SessionLow = Get64(message, 8),
            SessionHigh = Get64(message, 16),
            Kind = (MessageKind)Get16(message, 24),
            Repeated = (message[26] & 1) != 0,
            Seq = Get32(message, 28),
            PtsNs = Get64(message, 32),
            ServerNs = Get64(message, 40),
            Width = GetSize(message, 48),
            Height = GetSize(message, 52),
            Count = GetSize(message, 56),
            BaseSeq = Get32(message, 60),
            PayloadBytes = GetSize(message, 64),
            ScaleMin = GetFloat(message, 72),
            ScaleMax = GetFloat(message, 76),
            BoundsMin = GetFloat3(message, 80),
            BoundsMax = GetFloat3(message, 92),
        };

        readonly void CheckSizes(int got)
        {
            if (PayloadBytes != got)
                throw new WireException(
                    $"{Kind}: expected {PayloadBytes} payload bytes, got {got}");
            if (IsPicture && !(InRange(Width, MaxSide) && InRange(Height, MaxSide)))
                throw new WireException($"{Kind}: impossible size {Width}x{Height}");
            if (IsSplats)
                CheckSplats();
            SizeRange(out long smallest, out long largest);
            if (got < smallest || got > largest)
                throw new WireException(
                    $"{Kind}: expected {smallest} to {largest} payload bytes, got {got}");
        }

        readonly void CheckSplats()
        {
            if (!InRange(Count, MaxSplats))
                throw new WireException($"{Kind}: impossible number of splats {Count}");
            bool fits = FitsHalf(ScaleMin) && FitsHalf(ScaleMax) && FitsHalf(BoundsMin)
                && FitsHalf(BoundsMax);
            if (!fits)
                throw new WireException($"{Kind}: impossible bounds");
            if (ScaleMax <= ScaleMin)
                throw new WireException($"{Kind}: empty range of scales {ScaleMin} to {ScaleMax}");
        }

        readonly void SizeRange(out long smallest, out long largest)
        {
            long pixels = 4L * Width * Height;
            long splats = (long)Count * PackedSplat.Bytes;
            (smallest, largest) = Kind switch
            {
                MessageKind.End => (0, MaxReason),
                MessageKind.Jpeg => (1, pixels + JpegOverhead),
                MessageKind.SplatsKey => (splats, splats),
                MessageKind.SplatsDelta =>
                    (Chunks.BitmapBytes(Count), Chunks.BitmapBytes(Count) + splats),
                _ => (pixels, pixels),
            };
        }

        static bool InRange(int value, int largest) => value >= 1 && value <= largest;
        // false for what is not a number, too
        static bool FitsHalf(float value) => Math.Abs(value) <= LargestHalf;
        static bool FitsHalf(Float3 value) =>
            FitsHalf(value.X) && FitsHalf(value.Y) && FitsHalf(value.Z);
        static bool IsHexDigit(byte c) => (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        // what is beyond int is beyond every limit as well
        static int GetSize(ReadOnlySpan<byte> m, int at) =>
            (int)Math.Min(Get32(m, at), int.MaxValue);
    }
}
