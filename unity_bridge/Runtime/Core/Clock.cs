using System.Diagnostics;

namespace FlexAvatar
{
    /// <summary>
    /// Nanoseconds of the monotonic clock, the clock of drive signals and of latency.
    /// </summary>
    public static class Clock
    {
        static readonly double PerTick = 1e9 / Stopwatch.Frequency;

        public static long NowNs => (long)(Stopwatch.GetTimestamp() * PerTick);
    }

    /// <summary>
    /// Waits between attempts: doubled from the first to the longest, with some chance in it.
    /// </summary>
    public sealed class Backoff
    {
        readonly System.Random _random = new System.Random();
        readonly int _firstMs, _longestMs;
        int _nextMs;

        public Backoff(int firstMs = 250, int longestMs = 2000)
        {
            (_firstMs, _longestMs) = (firstMs, longestMs);
            _nextMs = firstMs;
        }

        public void Reset() => _nextMs = _firstMs;

        /// <summary>Milliseconds to wait now, up to a quarter less than the step.</summary>
        public int NextMs()
        {
            int step = _nextMs;
            _nextMs = System.Math.Min(2 * step, _longestMs);
            return step - _random.Next(step / 4 + 1);
        }
    }
}
