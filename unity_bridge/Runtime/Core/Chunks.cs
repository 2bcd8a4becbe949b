using System;

namespace FlexAvatar
{
    /// <summary>Splats are sent in chunks of 256; a bit a chunk says whether it is there.</summary>
    public static class Chunks
    {
        public const int Splats = 256;

        public static int Count(int splats) => (splats + Splats - 1) / Splats;

        /// <summary>Size of a delta's bitmap, padded so that the splats stay aligned.</summary>
        public static int BitmapBytes(int splats) =>
            (Count(splats) + 127) / 128 * PackedSplat.Bytes;

        /// <summary>How many splats a chunk has: the last may be short.</summary>
        public static int SplatsIn(int chunk, int splats) =>
            Math.Min(Splats, splats - chunk * Splats);

        public static bool Has(ReadOnlySpan<byte> bitmap, int chunk) =>
            (bitmap[chunk >> 3] >> (chunk & 7) & 1) != 0;

        public static void Add(Span<byte> bitmap, int chunk) =>
            bitmap[chunk >> 3] |= (byte)(1 << (chunk & 7));
    }
}
