using System;
using System.IO;
using System.Runtime.InteropServices;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// Reads messages of files into what the package shows, and writes them back from that.
    /// </summary>
    static class GoldenCheck
    {
        internal static int Run(string folder, string output)
        {
            var boxes = new FrameMailboxes();
            FrameDecoder stream = null;
            PackedSplat[] key = null;
            foreach (string name in new[] { "rgba8", "jpeg", "depth", "splats_key", "splats_delta",
                "end" })
            {
                byte[] bytes = File.ReadAllBytes(Path.Combine(folder, $"wire_{name}.bin"));
                stream ??= new FrameDecoder(
                    bytes.AsSpan(0, WireHeader.TopicBytes).ToArray(), boxes);
                var message = new MessageBuffer();
                message.Append(bytes);
                stream.Decode(ref message);
                byte[] back = name.StartsWith("splats") ? OfSplats(boxes.Splats.TryTake(), ref key)
                    : name == "end" ? OfEnd(bytes, stream.EndReason)
                    : OfPicture((name == "depth" ? boxes.Depth : boxes.Picture).TryTake());
                File.WriteAllBytes(Path.Combine(output, $"wire_{name}.bin"), back);
            }
            foreach (string name in new[] { "weights", "view", "all" })
                CopyDrive(Path.Combine(folder, $"drive_{name}.bin"),
                    Path.Combine(output, $"drive_{name}.bin"));
            return Program.Say(new JsonWriter().Add("figures", boxes.Statistics.Figures.Frames));
        }

        static byte[] OfPicture(PictureFrame frame) => Message(frame.Header, frame.Payload);

        static byte[] OfEnd(byte[] message, string reason) =>
            Message(WireHeader.Read(message), System.Text.Encoding.UTF8.GetBytes(reason));

        static byte[] OfSplats(SplatFrame frame, ref PackedSplat[] key)
        {
            var splats = frame.Splats.AsSpan(0, frame.Count);
            if (frame.Header.Kind == MessageKind.SplatsKey)
            {
                key = splats.ToArray();
                return Message(frame.Header, MemoryMarshal.AsBytes(splats));
            }
            var payload = new MemoryStream();
            var bitmap = new byte[Chunks.BitmapBytes(frame.Count)];
            payload.Write(bitmap);
            for (int chunk = 0; chunk < Chunks.Count(frame.Count); chunk++)
            {
                int start = chunk * Chunks.Splats, size = Chunks.SplatsIn(chunk, frame.Count);
                var now = MemoryMarshal.AsBytes(splats.Slice(start, size));
                if (now.SequenceEqual(MemoryMarshal.AsBytes(key.AsSpan(start, size))))
                    continue;
                Chunks.Add(bitmap, chunk);
                payload.Write(now);
            }
            payload.Position = 0;
            payload.Write(bitmap);
            return Message(frame.Header, payload.ToArray());
        }

        static byte[] Message(WireHeader header, ReadOnlySpan<byte> payload)
        {
            var message = new byte[WireHeader.Bytes + payload.Length];
            header.PayloadBytes = payload.Length;
            header.Write(message);
            payload.CopyTo(message.AsSpan(WireHeader.Bytes));
            return message;
        }

        static void CopyDrive(string from, string to)
        {
            byte[] packet = File.ReadAllBytes(from), back = new byte[DriveSignal.PacketBytes];
            var signal = new DriveSignal();
            uint seq = signal.Read(packet);
            signal.Write(back, packet.AsSpan(8, 16), packet.AsSpan(24, 32), seq);
            File.WriteAllBytes(to, back);
        }

        /// <summary>
        /// A keyframe to 14 floats a splat, in Unity's axes: position, wxyz, scale, colour,
        /// opacity.
        /// </summary>
        internal static int Unpack(string file, string output)
        {
            byte[] bytes = File.ReadAllBytes(file);
            WireHeader header = WireHeader.Read(bytes);
            var frame = new SplatFrame();
            new SplatDecoder().Feed(header, bytes.AsSpan(WireHeader.Bytes), frame);
            var unpacker = new SplatUnpacker();
            unpacker.SetRange(header.ScaleMin, header.ScaleMax);
            using var writer = new BinaryWriter(File.Create(output));
            for (int i = 0; i < frame.Count; i++)
            {
                Splat splat = unpacker.Unpack(frame.Splats[i]);
                Float3 p = Axes.ToUnity(splat.Position);
                Quat q = Axes.ToUnity(splat.Rotation);
                foreach (float x in new[]
                {
                    p.X, p.Y, p.Z, q.W, q.X, q.Y, q.Z, splat.Scale.X, splat.Scale.Y, splat.Scale.Z,
                    splat.Color.X, splat.Color.Y, splat.Color.Z, splat.Opacity,
                })
                    writer.Write(x);
            }
            return 0;
        }

        /// <summary>
        /// A keyframe's splats from behind, for a camera that looks along -z of the head frame.
        /// </summary>
        internal static int Order(string file, string output)
        {
            byte[] bytes = File.ReadAllBytes(file);
            var frame = new SplatFrame();
            new SplatDecoder().Feed(WireHeader.Read(bytes), bytes.AsSpan(WireHeader.Bytes), frame);
            var sorter = new SplatSorter();
            sorter.Sort(frame.Splats, frame.Count, new Float3(0, 0, -1));
            File.WriteAllBytes(
                output, MemoryMarshal.AsBytes(sorter.Order.AsSpan(0, frame.Count)).ToArray());
            return 0;
        }

        /// <summary>World-to-camera matrices, 16 floats each, to Unity's.</summary>
        internal static int Views(string file, string output)
        {
            float[] all = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
            var one = new float[16];
            for (int start = 0; start < all.Length; start += 16)
            {
                Axes.ViewToUnity(all.AsSpan(start, 16).ToArray(), one);
                one.CopyTo(all, start);
            }
            File.WriteAllBytes(output, MemoryMarshal.AsBytes(all.AsSpan()).ToArray());
            return 0;
        }
    }
}
