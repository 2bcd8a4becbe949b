using System;

namespace FlexAvatar.Checks
{
    /// <summary>What an engine's textures do with pictures.</summary>
    static class Textures
    {
        /// <summary>
        /// Copy `height` rows of 4-byte pixels upside down: pictures have their first row at the top,
        /// textures at the bottom.
        /// </summary>
        internal static void CopyFlipped(
            ReadOnlySpan<byte> picture, Span<byte> texture, int width, int height)
        {
            int row = 4 * width;
            for (int y = 0; y < height; y++)
                picture.Slice(y * row, row).CopyTo(texture.Slice((height - 1 - y) * row, row));
        }
    }
}
