using System;
using NUnit.Framework;

namespace FlexAvatar.Tests
{
    public sealed class WireTests
    {
        static WireHeader Header(MessageKind kind) => new WireHeader
        {
            SessionLow = 0x3736353433323130,
            SessionHigh = 0x6665646362613938,
            Kind = kind,
            Seq = 7,
            PtsNs = ulong.MaxValue,
            ServerNs = 1,
        };

        static byte[] Message(WireHeader header, int payload)
        {
            var message = new byte[WireHeader.Bytes + payload];
            header.PayloadBytes = payload;
            header.Write(message);
            return message;
        }

        static WireHeader Splats(MessageKind kind, int count, uint seq, uint baseSeq)
        {
            WireHeader header = Header(kind);
            (header.Count, header.Seq, header.BaseSeq) = (count, seq, baseSeq);
            (header.ScaleMin, header.ScaleMax) = (-8, -2);
            return header;
        }

        [Test]
        public void HeaderSurvivesARoundTrip()
        {
            WireHeader header = Header(MessageKind.Rgba8);
            (header.Width, header.Height, header.Repeated) = (3, 2, true);
            WireHeader back = WireHeader.Read(Message(header, 24));
            Assert.AreEqual(ulong.MaxValue, back.PtsNs);
            Assert.AreEqual((3, 2, true), (back.Width, back.Height, back.Repeated));
            Assert.IsTrue(back.IsPicture);
        }

        [Test]
        public void TruncatedAndOversizedPicturesAreRefused([Values(0, 23, 25)] int payload)
        {
            WireHeader header = Header(MessageKind.Rgba8);
            (header.Width, header.Height) = (3, 2);
            Assert.Throws<WireException>(() => WireHeader.Read(Message(header, payload)));
        }

        [Test]
        public void HugeNumbersDoNotOverflow()
        {
            WireHeader header = Header(MessageKind.Rgba8);
            (header.Width, header.Height) = (WireHeader.MaxSide, WireHeader.MaxSide);
            Assert.Throws<WireException>(() => WireHeader.Read(Message(header, 0)));
        }

        [Test]
        public void DeltasChangeTheKeyframeInPlace()
        {
            var decoder = new SplatDecoder();
            var frame = new SplatFrame();
            Assert.IsFalse(
                decoder.Feed(Splats(MessageKind.SplatsDelta, 300, 2, 1), new byte[16], frame));
            Assert.IsTrue(
                decoder.Feed(Splats(MessageKind.SplatsKey, 300, 1, 1), new byte[4800], frame));
            PackedSplat[] buffer = frame.Splats;
            var delta = new byte[16 + 44 * 16]; // the second chunk is short
            delta[0] = 2;
            delta[16] = 99;
            Assert.IsTrue(decoder.Feed(Splats(MessageKind.SplatsDelta, 300, 2, 1), delta, frame));
            Assert.AreSame(buffer, frame.Splats);
            Assert.AreEqual(99, frame.Splats[256].Color);
            Assert.IsTrue(
                decoder.Feed(Splats(MessageKind.SplatsDelta, 300, 3, 1), new byte[16], frame));
            Assert.AreEqual(
                0, frame.Splats[256].Color, "a delta is of the keyframe, not of the last delta");
        }

        [Test]
        public void BitsBeyondTheLastChunkAreRefused()
        {
            var decoder = new SplatDecoder();
            decoder.Feed(Splats(MessageKind.SplatsKey, 300, 1, 1), new byte[4800], new SplatFrame());
            var delta = new byte[16];
            delta[0] = 4;
            Assert.Throws<WireException>(
                () => decoder.Feed(
                    Splats(MessageKind.SplatsDelta, 300, 2, 1), delta, new SplatFrame()));
        }

        [Test]
        public void UploadsHoldWhatChangedBeforeAndNow()
        {
            var decoder = new SplatDecoder();
            var (one, other, upload) = (new SplatFrame(), new SplatFrame(), new SplatUpload());
            decoder.Feed(Splats(MessageKind.SplatsKey, 1000, 1, 1), new byte[16000], one);
            Assert.AreEqual((0, 1000, 1), Uploaded(upload, one));
            decoder.Feed(Splats(MessageKind.SplatsDelta, 1000, 2, 1), Delta(1), other);
            Assert.AreEqual((256, 256, 1), Uploaded(upload, other));
            decoder.Feed(Splats(MessageKind.SplatsDelta, 1000, 3, 1), Delta(2), one);
            Assert.AreEqual(
                (256, 512, 1), Uploaded(upload, one), "chunk 1 goes back, chunk 2 comes");
            Assert.AreEqual((512, 256, 1), Uploaded(upload, one));
            upload.Forget();
            Assert.AreEqual((0, 1000, 1), Uploaded(upload, one));
        }

        static byte[] Delta(int chunk)
        {
            var delta = new byte[16 + 256 * 16];
            delta[0] = (byte)(1 << chunk);
            return delta;
        }

        static (int start, int count, int runs) Uploaded(SplatUpload upload, SplatFrame frame)
        {
            var (first, total, runs) = (-1, 0, 0);
            upload.Begin(frame);
            while (upload.Next(out int start, out int count))
                (first, total, runs) = (runs == 0 ? start : first, total + count, runs + 1);
            return (first, total, runs);
        }

        [Test]
        public void Float16IsExact()
        {
            Assert.AreEqual(1f, Float16.ToSingle(0x3C00));
            Assert.AreEqual(-2f, Float16.ToSingle(0xC000));
            Assert.AreEqual(65504f, Float16.ToSingle(0x7BFF));
            Assert.AreEqual((float)Math.Pow(2, -24), Float16.ToSingle(1));
            Assert.IsTrue(float.IsNaN(Float16.ToSingle(0x7E00)));
        }
    }
}
