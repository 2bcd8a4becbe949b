using System;

namespace FlexAvatar
{
    /// <summary>Bytes that are used again; grows to the largest message it has held.</summary>
    public sealed class MessageBuffer
    {
        const int FirstBytes = 4096;

        public byte[] Bytes = Array.Empty<byte>();
        public int Length;

        public ReadOnlySpan<byte> Span => new ReadOnlySpan<byte>(Bytes, 0, Length);

        /// <summary>Room for so many bytes; those that are there stay.</summary>
        public void Reserve(int size)
        {
            if (Bytes.Length < size)
                // sizes vary a little
                Array.Resize(ref Bytes, Math.Max(size + size / 8, FirstBytes));
        }

        public void Append(ReadOnlySpan<byte> bytes)
        {
            Reserve(Length + bytes.Length);
            bytes.CopyTo(Bytes.AsSpan(Length));
            Length += bytes.Length;
        }
    }
}
