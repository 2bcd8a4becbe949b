using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;

namespace FlexAvatar.Checks
{
    /// <summary>The core against a live server, with this thread in the part of Unity's.</summary>
    static class LiveCheck
    {
        const int Side = 64;
        const int DrivesPerSecond = 60;
        const double PatienceS = 30;
        const int JoinMs = 2000;

        /// <summary>Create over HTTP, drive, receive so many frames of every kind, close.</summary>
        internal static int Run(string address, int frames)
        {
            using (var service = new ServiceClient(address))
                service.CreateAvatar("unity", new[] { new byte[] { 1 } }, quick: true).Wait();
            var link = new AvatarLink(address, "", Request());
            var viewer = new Viewer(link);
            viewer.Until(() => viewer.Pictures >= 30); // compiled, connected, settled
            viewer.Forget();
            viewer.Until(() => viewer.Pictures >= frames && viewer.Splats >= frames);
            StreamFigures figures = link.Figures;
            return Program.Say(Close(link, viewer.Report(figures)));
        }

        /// <summary>
        /// Keep an avatar on screen until standard input ends; say ten times a second how it goes.
        /// Size and kinds may follow: "512 Rgba8".
        /// </summary>
        internal static int Hold(string address, string avatar, string[] form)
        {
            var request = Request();
            request.Avatar = avatar;
            if (form.Length > 0)
                (request.Width, request.Height) = (int.Parse(form[0]), int.Parse(form[0]));
            if (form.Length > 1)
                request.Kinds = (StreamKinds)Enum.Parse(typeof(StreamKinds), form[1]);
            var link = new AvatarLink(address, "", request);
            var viewer = new Viewer(link);
            var ended = new ManualResetEventSlim();
            new Thread(() =>
                { Console.In.ReadToEnd(); ended.Set(); }) { IsBackground = true }.Start();
            while (!ended.IsSet)
            {
                long until = Clock.NowNs + 100_000_000;
                while (Clock.NowNs < until)
                    viewer.Step();
                Program.Say(viewer.Report(link.Figures)
                    .Add("state", link.State.ToString()).Add("error", link.LastError));
            }
            return Program.Say(Close(link, new JsonWriter()));
        }

        // closeMs: how long Unity's thread is held; joined: whether its threads have ended
        static JsonWriter Close(AvatarLink link, JsonWriter report)
        {
            var closing = Stopwatch.StartNew();
            link.Dispose();
            report.Add("closeMs", closing.Elapsed.TotalMilliseconds);
            return report.Add("joined", link.Join(JoinMs)).Add("state", link.State.ToString());
        }

        static SessionRequest Request() => new SessionRequest
        {
            Avatar = "unity",
            Width = Side,
            Height = Side,
            Kinds = StreamKinds.Rgba8 | StreamKinds.Depth | StreamKinds.Splats,
        };

        /// <summary>
        /// What a component does in Update: drive, take the newest, fill a texture.
        /// </summary>
        sealed class Viewer
        {
            readonly AvatarLink _link;
            readonly DriveSignal _signal =
                new DriveSignal { Parts = DriveParts.Arkit | DriveParts.Head };
            byte[] _texture = Array.Empty<byte>();
            readonly List<double> _latencies = new List<double>();
            readonly int _jaw = ArkitNames.IndexOf("jawOpen");
            long _nextDrive;
            int _drives;
            int _red, _depths;
            bool _pictured;
            float _height;

            internal Viewer(AvatarLink link) => _link = link;

            internal int Pictures { get; private set; }
            internal int Splats { get; private set; }

            internal void Until(Func<bool> done)
            {
                var watch = Stopwatch.StartNew();
                while (!done())
                {
                    Step();
                    if (watch.Elapsed.TotalSeconds > PatienceS)
                        throw new TimeoutException($"{_link.State}: {_link.LastError}");
                }
            }

            internal void Forget()
            {
                (Pictures, Splats) = (0, 0);
                _latencies.Clear();
            }

            internal void Step()
            {
                Drive();
                Look();
                Thread.Sleep(1);
            }

            void Drive()
            {
                long now = Clock.NowNs;
                if (now < _nextDrive)
                    return;
                _nextDrive = now + 1_000_000_000 / DrivesPerSecond;
                _signal.PtsNs = (ulong)now;
                _signal.Weights[_jaw] = ++_drives % 100 / 1000f; // the server's red tells it back
                _link.Drive(_signal);
            }

            void Look()
            {
                PictureFrame picture = _link.Frames.Picture.TryTake();
                if (picture != null)
                {
                    if (_texture.Length != picture.Payload.Length)
                        _texture = new byte[picture.Payload.Length];
                    Textures.CopyFlipped(
                        picture.Payload, _texture, picture.Header.Width, picture.Header.Height);
                    _red = _texture[0];
                    _pictured = true;
                    Pictures++;
                    if (!picture.Header.Repeated && picture.Header.PtsNs != 0)
                        _latencies.Add((Clock.NowNs - (long)picture.Header.PtsNs) / 1e6);
                }
                if (_link.Frames.Depth.TryTake() != null)
                    _depths++;
                SplatFrame splats = _link.Frames.Splats.TryTake();
                if (splats == null)
                    return;
                Splats++;
                if (!splats.Header.Repeated && splats.Header.PtsNs != 0 && !_pictured)
                    _latencies.Add((Clock.NowNs - (long)splats.Header.PtsNs) / 1e6);
                _height = splats.Splats[0].Position.Y;
            }

            internal JsonWriter Report(StreamFigures figures)
            {
                double[] sorted = _latencies.OrderBy(x => x).ToArray();
                double At(double share) =>
                    sorted.Length == 0 ? 0 : sorted[(int)(share * (sorted.Length - 1))];
                return new JsonWriter().Add("pictures", Pictures).Add("splats", Splats)
                    .Add("depths", _depths)
                    .Add("red", _red).Add("height", _height).Add("drives", _drives)
                    .Add("gaps", figures.Gaps).Add("refused", figures.Refused)
                        .Add("reconnects", figures.Reconnects)
                    .Add("frames", figures.Frames).Add("fps", figures.Fps)
                    .Add("p50Ms", At(0.5)).Add("p99Ms", At(0.99));
            }
        }
    }
}
