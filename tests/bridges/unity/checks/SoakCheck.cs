using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace FlexAvatar.Checks
{
    /// <summary>Many frames: memory must stay as it is, and garbage must not be made.</summary>
    static class SoakCheck
    {
        const int Side = 64;
        const string Session = "0123456789abcdef";

        /// <summary>Receive, decode, sort and upload frames of a publisher.</summary>
        internal static int Run(string address, int frames)
        {
            var topic = new byte[WireHeader.TopicBytes];
            Encoding.ASCII.GetBytes("FLXA\u0001").CopyTo(topic, 0);
            Encoding.ASCII.GetBytes(Session).CopyTo(topic, 8);
            using var connection =
                ZmtpConnection.Open(address, "SUB", 1 << 22, CancellationToken.None);
            connection.Subscribe(topic);
            var engine = new Engine(topic);
            engine.Take(connection, frames / 10); // compiled, buffers grown
            long memory = GC.GetTotalMemory(true), allocated = GC.GetTotalAllocatedBytes(true);
            int collected = GC.CollectionCount(0);
            engine.Take(connection, frames);
            collected = GC.CollectionCount(0) - collected;
            allocated = GC.GetTotalAllocatedBytes(true) - allocated;
            return Program.Say(new JsonWriter().Add("frames", frames).Add("collections", collected)
                .Add("allocatedPerFrame", (double)allocated / frames)
                .Add("grownBytes", GC.GetTotalMemory(true) - memory)
                    .Add("uploaded", engine.Uploaded));
        }

        /// <summary>
        /// Milliseconds of the work that Unity's thread does with so many splats.
        /// </summary>
        internal static int Speed(int count)
        {
            var random = new Random(1);
            var splats = new PackedSplat[count];
            for (int i = 0; i < count; i++)
                splats[i] = new PackedSplat { XY = (uint)random.Next() & 0x3BFF3BFF,
                    ZAxis = (uint)random.Next() & 0xFFFF3BFF };
            var sorter = new SplatSorter();
            var forward = new Float3(0.1f, 0.2f, -0.9f);
            double best = Best(() => sorter.Sort(splats, count, forward));
            return Program.Say(new JsonWriter().Add("sortMs", best));
        }

        static double Best(Action work)
        {
            double best = double.MaxValue;
            for (int i = 0; i < 60; i++)
            {
                var watch = Stopwatch.StartNew();
                work();
                best = Math.Min(best, watch.Elapsed.TotalMilliseconds);
            }
            return best;
        }

        /// <summary>The part of an engine: a texture, a buffer of splats and their order.</summary>
        sealed class Engine
        {
            readonly FrameDecoder _stream;
            readonly FrameMailboxes _boxes = new FrameMailboxes();
            readonly SplatSorter _sorter = new SplatSorter();
            readonly SplatUpload _upload = new SplatUpload();
            readonly byte[] _texture = new byte[4 * Side * Side];
            PackedSplat[] _gpu = Array.Empty<PackedSplat>();
            MessageBuffer _message = new MessageBuffer();

            internal long Uploaded { get; private set; }

            internal Engine(byte[] topic) => _stream = new FrameDecoder(topic, _boxes);

            internal void Take(ZmtpConnection connection, int frames)
            {
                for (int i = 0; i < frames; i++)
                {
                    Arrival arrival = connection.Receive(_message, 5000);
                    if (arrival != Arrival.Message)
                        throw new TimeoutException($"{arrival} after {i} frames");
                    _stream.Decode(ref _message);
                    Show();
                }
            }

            void Show()
            {
                PictureFrame picture = _boxes.Picture.TryTake();
                if (picture != null)
                    Textures.CopyFlipped(picture.Payload, _texture, Side, Side);
                SplatFrame splats = _boxes.Splats.TryTake();
                if (splats == null)
                    return;
                if (_gpu.Length != splats.Count)
                    _gpu = new PackedSplat[splats.Count];
                _upload.Begin(splats);
                while (_upload.Next(out int start, out int count))
                {
                    Array.Copy(splats.Splats, start, _gpu, start, count);
                    Uploaded += count;
                }
                var held = MemoryMarshal.AsBytes(_gpu.AsSpan());
                if (!held.SequenceEqual(
                    MemoryMarshal.AsBytes(splats.Splats.AsSpan(0, splats.Count))))
                    throw new InvalidOperationException("the upload missed something");
                _sorter.Sort(_gpu, splats.Count, new Float3(0, 0, -1));
            }
        }
    }
}
