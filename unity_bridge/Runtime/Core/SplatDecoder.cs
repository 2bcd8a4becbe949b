using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>
    /// One instant of the head: a keyframe with the chunks of a delta in their places.
    /// </summary>
    public sealed class SplatFrame
    {
        public WireHeader Header;
        /// <summary>When it was received, on <see cref="Clock"/>.</summary>
        public long ReceivedNs;
        /// <summary>At least <see cref="Count"/> splats; persistent, changed in place.</summary>
        public PackedSplat[] Splats = Array.Empty<PackedSplat>();
        public int Count;
        /// <summary>Which keyframe this is made of, counted by the receiver; 0: none.</summary>
        public long Keyframe;
        byte[] _changed = Array.Empty<byte>();

        /// <summary>Whether the chunk differs from the keyframe.</summary>
        public bool Differs(int chunk) => Chunks.Has(_changed, chunk);

        internal void ResetTo(PackedSplat[] key, long keyframe, int count)
        {
            if (Keyframe == keyframe)
            {
                for (int chunk = 0; chunk < Chunks.Count(count); chunk++)
                    if (Differs(chunk))
                        CopyChunk(key, chunk);
            }
            else
            {
                if (Splats.Length < count)
                {
                    Splats = new PackedSplat[count];
                    _changed = new byte[Chunks.BitmapBytes(count)];
                }
                (Count, Keyframe) = (count, keyframe);
                Array.Copy(key, Splats, count);
            }
            Array.Clear(_changed, 0, _changed.Length);
        }

        internal void Patch(ReadOnlySpan<byte> bitmap, ReadOnlySpan<PackedSplat> chunks)
        {
            for (int chunk = 0; chunk < Chunks.Count(Count); chunk++)
            {
                if (!Chunks.Has(bitmap, chunk))
                    continue;
                int size = Chunks.SplatsIn(chunk, Count);
                chunks.Slice(0, size).CopyTo(Splats.AsSpan(chunk * Chunks.Splats, size));
                chunks = chunks.Slice(size);
                Chunks.Add(_changed, chunk);
            }
        }

        void CopyChunk(PackedSplat[] key, int chunk) => Array.Copy(
            key, chunk * Chunks.Splats, Splats, chunk * Chunks.Splats,
                Chunks.SplatsIn(chunk, Count));
    }

    /// <summary>
    /// Messages of splats of one session to frames. Allocates when their number grows.
    /// </summary>
    public sealed class SplatDecoder
    {
        PackedSplat[] _key = Array.Empty<PackedSplat>();
        WireHeader _keyHeader;
        long _keyframe;
        static long _keyframes; // of all streams: frames outlive the stream that filled them

        /// <summary>
        /// What a message shows, written into a frame that this stream has filled before, or a new
        /// one. False: its keyframe is missing, the next one comes within a second. Throws
        /// WireException; the frame is then as it was.
        /// </summary>
        public bool Feed(in WireHeader header, ReadOnlySpan<byte> payload, SplatFrame into)
        {
            if (header.Kind == MessageKind.SplatsKey)
            {
                KeepKey(header, payload);
                into.ResetTo(_key, _keyframe, header.Count);
            }
            else if (_keyframe == 0 || header.BaseSeq != _keyHeader.Seq)
                return false;
            else
            {
                ReadOnlySpan<byte> bitmap = CheckDelta(header, payload);
                into.ResetTo(_key, _keyframe, header.Count);
                into.Patch(bitmap, MemoryMarshal.Cast<byte,
                    PackedSplat>(payload.Slice(bitmap.Length)));
            }
            into.Header = header;
            return true;
        }

        void KeepKey(in WireHeader header, ReadOnlySpan<byte> payload)
        {
            if (header.BaseSeq != header.Seq)
                throw new WireException(
                    $"SplatsKey: expected its own seq {header.Seq} as base, got {header.BaseSeq}");
            if (_key.Length < header.Count)
                _key = new PackedSplat[header.Count];
            payload.CopyTo(MemoryMarshal.AsBytes(_key.AsSpan()));
            _keyHeader = header;
            _keyframe = Interlocked.Increment(ref _keyframes);
        }

        ReadOnlySpan<byte> CheckDelta(in WireHeader header, ReadOnlySpan<byte> payload)
        {
            bool fits = header.Count == _keyHeader.Count
                && header.ScaleMin == _keyHeader.ScaleMin && header.ScaleMax == _keyHeader.ScaleMax;
            if (!fits)
                throw new WireException("SplatsDelta: does not fit the keyframe that it names");
            var bitmap = payload.Slice(0, Chunks.BitmapBytes(header.Count));
            int splats = 0, total = Chunks.Count(header.Count);
            for (int chunk = 0; chunk < 8 * bitmap.Length; chunk++)
            {
                if (!Chunks.Has(bitmap, chunk))
                    continue;
                if (chunk >= total)
                    throw new WireException(
                        $"SplatsDelta: bits set beyond the last of {total} chunks");
                splats += Chunks.SplatsIn(chunk, header.Count);
            }
            int expected = splats * PackedSplat.Bytes, got = payload.Length - bitmap.Length;
            if (got != expected)
                throw new WireException(
                    $"SplatsDelta: expected {expected} bytes after the bitmap, got {got}");
            return bitmap;
        }
    }

    /// <summary>
    /// What of a frame must be copied into a buffer (on the GPU, say) that holds an earlier one:
    /// <code>upload.Begin(frame); while (upload.Next(out start, out count)) ...</code>
    /// </summary>
    public sealed class SplatUpload
    {
        byte[] _held = Array.Empty<byte>();
        SplatFrame _frame;
        long _keyframe;
        bool _everything;
        int _chunk;

        /// <summary>The buffer is new or lost: the next frame is copied whole.</summary>
        public void Forget() => _keyframe = 0;

        public void Begin(SplatFrame frame)
        {
            int bytes = Chunks.BitmapBytes(frame.Count);
            if (_held.Length < bytes)
                _held = new byte[bytes];
            _everything = frame.Keyframe != _keyframe;
            (_frame, _keyframe, _chunk) = (frame, frame.Keyframe, 0);
        }

        /// <summary>The next run of splats to copy.</summary>
        public bool Next(out int start, out int count)
        {
            int total = Chunks.Count(_frame.Count);
            while (_chunk < total && !Take(_chunk))
                _chunk++;
            int first = _chunk;
            while (_chunk < total && (_chunk == first || Take(_chunk)))
                _chunk++;
            start = first * Chunks.Splats;
            count = Math.Min(_chunk * Chunks.Splats, _frame.Count) - start;
            return first < total;
        }

        // whether the chunk is to be copied; notes what the buffer then holds
        bool Take(int chunk)
        {
            bool differs = _frame.Differs(chunk), held = Chunks.Has(_held, chunk);
            byte bit = (byte)(1 << (chunk & 7));
            _held[chunk >> 3] =
                (byte)(differs ? _held[chunk >> 3] | bit : _held[chunk >> 3] & ~bit);
            return _everything || differs || held;
        }
    }
}
