using System;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>
    /// Sorts splats in a thread of its own, so that the engine's only copies them: the order is a
    /// frame or so old, which is not seen. For one thread of an engine.
    /// </summary>
    public sealed class SplatSortWorker : IDisposable
    {
        const int Idle = 0, Busy = 1, Done = 2;
        const int JoinMs = 1000;
        readonly AutoResetEvent _wake = new AutoResetEvent(false);
        readonly SplatSorter _sorter = new SplatSorter();
        readonly Thread _thread;
        PackedSplat[] _splats = Array.Empty<PackedSplat>();
        int _count;
        Float3 _forward;
        volatile int _state = Idle;
        volatile bool _stopping;

        public SplatSortWorker()
        {
            _thread = new Thread(Run) { IsBackground = true, Name = "FlexAvatar sort" };
            _thread.Start();
        }

        /// <summary>The order of the last sort that was taken, the farthest first.</summary>
        public uint[] Order => _sorter.Order;

        /// <summary>
        /// Sort these next, as <see cref="SplatSorter.Sort"/> does. False: it is still busy.
        /// </summary>
        public bool TryBegin(PackedSplat[] splats, int count, Float3 forward)
        {
            if (_state != Idle)
                return false;
            if (_splats.Length < count)
                _splats = new PackedSplat[count];
            Array.Copy(splats, _splats, count);
            (_count, _forward) = (count, forward);
            _state = Busy;
            _wake.Set();
            return true;
        }

        /// <summary>
        /// Whether a new order is in <see cref="Order"/>; it stays until the next TryBegin.
        /// </summary>
        public bool TryTake(out int count)
        {
            count = _count;
            if (_state != Done)
                return false;
            _state = Idle;
            return true;
        }

        public void Dispose()
        {
            _stopping = true;
            _wake.Set();
            if (_thread.Join(JoinMs))
                _wake.Dispose();
        }

        void Run()
        {
            while (true)
            {
                _wake.WaitOne();
                if (_stopping)
                    return;
                _sorter.Sort(_splats, _count, _forward);
                _state = Done;
            }
        }
    }
}
