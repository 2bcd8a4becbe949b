using System;
using System.Text;

namespace FlexAvatar
{
    /// <summary>One picture or depth map, as it came.</summary>
    public sealed class PictureFrame
    {
        public WireHeader Header;
        /// <summary>When it was received, on <see cref="Clock"/>.</summary>
        public long ReceivedNs;
        /// <summary>The whole message.</summary>
        public MessageBuffer Message = new MessageBuffer();

        /// <summary>
        /// RGBA8: rows from the top, premultiplied. JPEG: a file. DEPTH: float32 metres, rows from
        /// the top, 0 where nothing is.
        /// </summary>
        public ReadOnlySpan<byte> Payload => Message.Span.Slice(WireHeader.Bytes);
    }

    /// <summary>
    /// Messages of one session to the newest picture, depth and splats, without copies of pictures.
    /// </summary>
    public sealed class FrameDecoder
    {
        readonly byte[] _topic;
        readonly SplatDecoder _splats = new SplatDecoder();
        readonly FrameMailboxes _boxes;

        public FrameDecoder(byte[] topic, FrameMailboxes boxes) =>
            (_topic, _boxes) = (topic, boxes);

        /// <summary>Why the session ended, once it has.</summary>
        public string EndReason { get; private set; }

        /// <summary>
        /// Decode a message. The buffer is then another one: this one may have become the picture.
        /// Throws WireException.
        /// </summary>
        public void Decode(ref MessageBuffer message)
        {
            WireHeader header = WireHeader.Read(message.Span);
            if (!header.IsOf(_topic))
                throw new WireException("message: of another session than was subscribed to");
            long now = Clock.NowNs;
            switch (header.Kind)
            {
                case MessageKind.End:
                    EndReason = Encoding.UTF8.GetString(
                        message.Bytes, WireHeader.Bytes, header.PayloadBytes);
                    break;
                case MessageKind.Depth:
                    Publish(_boxes.Depth, header, ref message, now);
                    break;
                case MessageKind.SplatsKey:
                case MessageKind.SplatsDelta:
                    DecodeSplats(header, message, now);
                    break;
                default:
                    Publish(_boxes.Picture, header, ref message, now);
                    break;
            }
        }

        void Publish(
            Mailbox<PictureFrame> box, in WireHeader header, ref MessageBuffer message, long now)
        {
            PictureFrame frame = box.Writing;
            (frame.Message, message) = (message, frame.Message);
            (frame.Header, frame.ReceivedNs) = (header, now);
            bool replaced = box.Publish();
            _boxes.Statistics.CountFrame(header, now, replaced);
        }

        void DecodeSplats(in WireHeader header, MessageBuffer message, long now)
        {
            SplatFrame frame = _boxes.Splats.Writing;
            if (!_splats.Feed(header, message.Span.Slice(WireHeader.Bytes), frame))
                return;
            frame.ReceivedNs = now;
            bool replaced = _boxes.Splats.Publish();
            _boxes.Statistics.CountFrame(header, now, replaced);
        }
    }

    /// <summary>Where the newest frames wait for the engine's thread.</summary>
    public sealed class FrameMailboxes
    {
        public readonly Mailbox<PictureFrame> Picture = new Mailbox<PictureFrame>();
        public readonly Mailbox<PictureFrame> Depth = new Mailbox<PictureFrame>();
        public readonly Mailbox<SplatFrame> Splats = new Mailbox<SplatFrame>();
        public readonly StreamStatistics Statistics = new StreamStatistics();
    }
}
