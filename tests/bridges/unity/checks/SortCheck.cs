using System;
using System.Collections;
using System.Diagnostics;
using System.Reflection;
using System.Threading;
using UnityEngine;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// The component of Gaussians with a sort that hangs, then one that fails, then a sound one.
    /// </summary>
    sealed class SortCheck
    {
        const double PatienceS = 20;
        const int Frames = 50;
        const BindingFlags Hidden = BindingFlags.Instance | BindingFlags.NonPublic;

        readonly FaultySorter _sorter = new FaultySorter();
        readonly Camera _camera = new Camera { gameObject = new GameObject() };
        readonly FlexAvatarReceiver _receiver;
        readonly FlexAvatarDriver _driver;
        readonly FlexAvatarSplats _view;
        double _longestMs;
        int _frame;

        SortCheck(string address, string avatar)
        {
            var head = new GameObject("head");
            _receiver = head.AddComponent<FlexAvatarReceiver>();
            (_receiver.address, _receiver.avatar, _receiver.mode) =
                (address, avatar, ReceiverMode.Splats);
            _driver = head.AddComponent<FlexAvatarDriver>();
            _driver.receiver = _receiver;
            _view = head.AddComponent<FlexAvatarSplats>();
            _view.receiver = _receiver;
            GiveSorter();
        }

        internal static int Run(string address, string avatar)
        {
            var check = new SortCheck(address, avatar);
            check._receiver.SendMessage("OnEnable");
            check._view.SendMessage("OnEnable");
            JsonWriter told = check.Play();
            check._view.SendMessage("OnDisable");
            check._receiver.SendMessage("OnDisable");
            LiveLinks.CloseAll();
            return Program.Say(told);
        }

        JsonWriter Play()
        {
            _sorter.Hangs = true;
            Until(() => _receiver.Splats != null);
            for (int i = 0; i < Frames; i++)
                Step();
            double hangingMs = _longestMs;
            int hanging = Graphics.Draws;
            _sorter.Release();
            Until(() => Graphics.Draws > 0);
            _sorter.Fails = true;
            Until(() => UnityEngine.Debug.Errors.Count > 0);
            int failed = _sorter.Failures, drawn = Graphics.Draws;
            for (int i = 0; i < Frames; i++)
                Step();
            int failing = Graphics.Draws - drawn;
            failed = _sorter.Failures - failed;
            _sorter.Fails = false;
            int sorted = _sorter.Sorts;
            Until(() => _sorter.Sorts > sorted + 1);
            return new JsonWriter().Add("hangingMs", hangingMs).Add("drawnHanging", hanging)
                .Add("drawnFailing", failing).Add("failures", failed)
                .Add("error", UnityEngine.Debug.Errors[0].Split('\n')[0])
                .Add("errors", UnityEngine.Debug.Errors.Count).Add("frames", Frames);
        }

        void Until(Func<bool> done)
        {
            var watch = Stopwatch.StartNew();
            while (!done())
            {
                Step();
                if (watch.Elapsed.TotalSeconds > PatienceS)
                    throw new TimeoutException($"{_receiver.State}: {_receiver.Link?.LastError}");
            }
        }

        // a frame of the engine, in which the head moves
        void Step()
        {
            _driver.SetBlendShape("jawOpen", _frame++ % 50 / 500f);
            _receiver.SendMessage("Update");
            _driver.SendMessage("LateUpdate");
            var watch = Stopwatch.StartNew();
            Camera.onPreCull(_camera);
            _longestMs = Math.Max(_longestMs, watch.Elapsed.TotalMilliseconds);
            Thread.Sleep(2);
        }

        // the component makes a worker of its own when a camera first looks: here is another
        void GiveSorter()
        {
            Type type = typeof(FlexAvatarSplats)
                .GetNestedType("CameraOrder", BindingFlags.NonPublic);
            var arguments = new object[] { new SplatSortWorker(_sorter) };
            object given = Activator.CreateInstance(type, Hidden, null, arguments, null);
            var orders = (IDictionary)typeof(FlexAvatarSplats).GetField("_orders", Hidden)
                .GetValue(_view);
            orders.Add(_camera, given);
        }

        sealed class FaultySorter : SplatSorter
        {
            readonly ManualResetEvent _released = new ManualResetEvent(false);
            internal volatile bool Hangs, Fails;
            internal volatile int Sorts, Failures;

            internal void Release()
            {
                Hangs = false;
                _released.Set();
            }

            public override void Sort(PackedSplat[] splats, int count, Float3 forward)
            {
                if (Hangs)
                    _released.WaitOne();
                if (Fails)
                {
                    Failures++;
                    throw new InvalidOperationException("a fault of this test");
                }
                base.Sort(splats, count, forward);
                Sorts++;
            }
        }
    }
}
