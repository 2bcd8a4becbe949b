using System;

namespace FlexAvatar
{
    /// <summary>Figures of a stream at one moment.</summary>
    public struct StreamFigures
    {
        /// <summary>Frames a second, over the last second.</summary>
        public float Fps;
        /// <summary>
        /// From the drive signal's time to the frame's arrival here, smoothed; 0 while nothing is
        /// driven.
        /// </summary>
        public float LatencyMs;
        public long Frames;
        /// <summary>Frames of the server that never came.</summary>
        public long Gaps;
        /// <summary>Frames that came and were replaced before anybody looked.</summary>
        public long Replaced;
        /// <summary>Messages that could not be read.</summary>
        public long Refused;
        public long Bytes;
        public float BytesPerSecond;
        /// <summary>How often the connection was made anew.</summary>
        public int Reconnects;
    }

    /// <summary>Counts what arrives; written by the receiving thread, read by any.</summary>
    public sealed class StreamStatistics
    {
        const float Smoothing = 0.1f;
        const long Window = 1_000_000_000;
        const float LongestLatencyMs = 10_000; // more is another clock's time
        static readonly int Kinds = Enum.GetValues(typeof(MessageKind)).Length;

        readonly object _gate = new object();
        readonly uint[] _lastSeq = new uint[Kinds];
        readonly bool[] _seen = new bool[Kinds];
        StreamFigures _figures;
        long _windowStart, _windowFrames, _windowBytes;

        public StreamFigures Figures
        {
            get
            {
                lock (_gate)
                    return _figures;
            }
        }

        internal void CountFrame(in WireHeader header, long now, bool replaced)
        {
            lock (_gate)
            {
                // a delta follows a keyframe as any frame its predecessor
                int kind = header.Kind == MessageKind.SplatsDelta ? (int)MessageKind.SplatsKey
                    : (int)header.Kind;
                if (_seen[kind])
                    _figures.Gaps += Math.Max(0, (int)(header.Seq - _lastSeq[kind]) - 1);
                (_seen[kind], _lastSeq[kind]) = (true, header.Seq);
                _figures.Replaced += replaced ? 1 : 0;
                _figures.Bytes += WireHeader.Bytes + header.PayloadBytes;
                if (header.Kind == MessageKind.Depth)
                    return; // it belongs to a picture, which is counted
                _figures.Frames++;
                Measure(header, now);
            }
        }

        internal void CountRefused()
        {
            lock (_gate)
                _figures.Refused++;
        }

        /// <summary>A new connection: what was missed in between is no gap.</summary>
        internal void CountReconnect()
        {
            lock (_gate)
            {
                Array.Clear(_seen, 0, Kinds);
                _figures.Reconnects++;
                _figures.Fps = _figures.BytesPerSecond = _figures.LatencyMs = 0;
                _windowStart = 0;
            }
        }

        void Measure(in WireHeader header, long now)
        {
            float latency = (now - (long)header.PtsNs) / 1e6f;
            if (!header.Repeated && header.PtsNs != 0 && latency >= 0 && latency < LongestLatencyMs)
                _figures.LatencyMs += (latency - _figures.LatencyMs) * (
                    _figures.LatencyMs == 0 ? 1 : Smoothing);
            if (_windowStart == 0)
                (_windowStart, _windowFrames, _windowBytes) =
                    (now, _figures.Frames, _figures.Bytes);
            long passed = now - _windowStart;
            if (passed < Window)
                return;
            _figures.Fps = (_figures.Frames - _windowFrames) * 1e9f / passed;
            _figures.BytesPerSecond = (_figures.Bytes - _windowBytes) * 1e9f / passed;
            (_windowStart, _windowFrames, _windowBytes) = (now, _figures.Frames, _figures.Bytes);
        }
    }
}
