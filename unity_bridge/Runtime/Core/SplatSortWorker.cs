using System;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>
    /// Sorts splats in a thread of its own. The engine's thread never waits for it: it hands splats
    /// over, goes on, and takes the newest finished order, which is a frame or so old, unseen. For
    /// one thread of an engine.
    /// </summary>
    public sealed class SplatSortWorker : IDisposable
    {
        enum State
        {
            Idle,
            Busy,
            Done,
        }

        readonly object _gate = new object(); // held for a copy of the splats, never for a sort
        readonly SplatSorter _sorter;
        PackedSplat[] _splats = Array.Empty<PackedSplat>();
        int _count;
        Float3 _forward;
        State _state = State.Idle;
        Exception _error;
        bool _stopping;

        public SplatSortWorker()
            : this(new SplatSorter())
        {
        }

        /// <summary>A worker that sorts with `sorter`, which is its own from now on.</summary>
        public SplatSortWorker(SplatSorter sorter)
        {
            _sorter = sorter;
            new Thread(Run) { IsBackground = true, Name = "FlexAvatar sort" }.Start();
        }

        /// <summary>
        /// The order that was taken last, the farthest first; it stays until the next TryBegin.
        /// </summary>
        public uint[] Order => _sorter.Order;

        /// <summary>
        /// Sort these next, as <see cref="SplatSorter.Sort"/> does. False: it is still busy, or its
        /// last order was not taken yet.
        /// </summary>
        public bool TryBegin(PackedSplat[] splats, int count, Float3 forward)
        {
            lock (_gate)
            {
                if (_state != State.Idle)
                    return false;
                if (_splats.Length < count)
                    _splats = new PackedSplat[count];
                Array.Copy(splats, _splats, count);
                (_count, _forward, _state) = (count, forward, State.Busy);
                Monitor.Pulse(_gate);
                return true;
            }
        }

        /// <summary>Whether a new order of `count` splats is in <see cref="Order"/>.</summary>
        public bool TryTake(out int count)
        {
            lock (_gate)
            {
                count = _count;
                if (_state != State.Done)
                    return false;
                _state = State.Idle;
                return true;
            }
        }

        /// <summary>
        /// What a sort failed with since the last call; null if none did. The worker goes on.
        /// </summary>
        public Exception TakeError()
        {
            lock (_gate)
            {
                Exception error = _error;
                _error = null;
                return error;
            }
        }

        /// <summary>
        /// Let the thread end: after the sort that it is at, which is not waited for.
        /// </summary>
        public void Dispose()
        {
            lock (_gate)
            {
                _stopping = true;
                Monitor.Pulse(_gate);
            }
        }

        void Run()
        {
            while (WaitForSplats())
            {
                Exception error = null;
                try
                {
                    _sorter.Sort(_splats, _count, _forward);
                }
                catch (Exception caught)
                {
                    error = caught; // the thread lives on, or nobody would sort or know why
                }
                Finish(error);
            }
        }

        bool WaitForSplats()
        {
            lock (_gate)
            {
                while (_state != State.Busy && !_stopping)
                    Monitor.Wait(_gate);
                return !_stopping;
            }
        }

        void Finish(Exception error)
        {
            lock (_gate)
            {
                _state = error == null ? State.Done : State.Idle;
                _error = error ?? _error;
            }
        }
    }
}
