using System;
using System.Buffers.Binary;
using System.Text;

namespace FlexAvatar
{
    /// <summary>The peer does not speak ZMTP as it should, or refuses us.</summary>
    public sealed class ZmtpException : Exception
    {
        public ZmtpException(string message) : base(message) { }
    }

    /// <summary>
    /// Bytes of ZMTP 3.x (rfc.zeromq.org/spec/37), mechanism NULL. CURVE, which encrypts, is not
    /// supported.
    /// </summary>
    public static class ZmtpFrames
    {
        public const int GreetingBytes = 64;
        public const byte More = 1, Long = 2, Command = 4;
        public const int LongestHead = 9;
        static readonly byte[] Mechanism = Encoding.ASCII.GetBytes("NULL");

        /// <summary>The greeting of a client.</summary>
        public static byte[] Greeting()
        {
            var greeting = new byte[GreetingBytes];
            greeting[0] = 0xFF;
            greeting[9] = 0x7F;
            greeting[10] = 3;
            greeting[11] = 1;
            Mechanism.CopyTo(greeting, 12);
            return greeting;
        }

        /// <summary>The peer's minor version. Throws ZmtpException.</summary>
        public static int ReadGreeting(ReadOnlySpan<byte> greeting)
        {
            if (greeting[0] != 0xFF || (greeting[9] & 1) == 0 || greeting[10] < 3)
                throw new ZmtpException("the peer does not speak ZMTP 3");
            var mechanism = greeting.Slice(12, 20);
            int end = mechanism.IndexOf((byte)0);
            if (!mechanism.Slice(0, Math.Max(end, 0)).SequenceEqual(Mechanism))
                throw new ZmtpException(
                    "the peer wants an encrypted connection (CURVE), which is not supported");
            return greeting[10] == 3 ? greeting[11] : 1;
        }

        /// <summary>The head of a frame; the number of its bytes.</summary>
        public static int WriteHead(Span<byte> head, byte flags, int size)
        {
            if (size < 256)
            {
                head[0] = flags;
                head[1] = (byte)size;
                return 2;
            }
            head[0] = (byte)(flags | Long);
            BinaryPrimitives.WriteInt64BigEndian(head.Slice(1), size);
            return LongestHead;
        }

        /// <summary>READY with a socket's type: the answer to a greeting.</summary>
        public static byte[] Ready(string socketType)
        {
            var body = new MessageBuffer();
            AppendName(body, "READY");
            AppendName(body, "Socket-Type");
            Span<byte> size = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(size, socketType.Length);
            body.Append(size);
            body.Append(Encoding.ASCII.GetBytes(socketType));
            return Frame(Command, body.Span);
        }

        /// <summary>A subscription: a command since ZMTP 3.1, before that a message.</summary>
        public static byte[] Subscribe(ReadOnlySpan<byte> topic, int minor)
        {
            var body = new MessageBuffer();
            if (minor >= 1)
                AppendName(body, "SUBSCRIBE");
            else
                body.Append(new byte[] { 1 });
            body.Append(topic);
            return Frame(minor >= 1 ? Command : (byte)0, body.Span);
        }

        /// <summary>PING: the peer answers with PONG, or is gone.</summary>
        public static byte[] Ping()
        {
            var body = new MessageBuffer();
            AppendName(body, "PING");
            body.Append(new byte[2]); // no promise of when the next will come
            return Frame(Command, body.Span);
        }

        /// <summary>PONG with the context of a PING's body.</summary>
        public static byte[] Pong(ReadOnlySpan<byte> ping)
        {
            const int Before = 7; // name and time to live
            var body = new MessageBuffer();
            AppendName(body, "PONG");
            if (ping.Length > Before)
                body.Append(ping.Slice(Before));
            return Frame(Command, body.Span);
        }

        /// <summary>Whether a command's body has this name.</summary>
        public static bool IsCommand(ReadOnlySpan<byte> body, string name)
        {
            if (body.Length < 1 + name.Length || body[0] != name.Length)
                return false;
            for (int i = 0; i < name.Length; i++)
                if (body[1 + i] != name[i])
                    return false;
            return true;
        }

        static byte[] Frame(byte flags, ReadOnlySpan<byte> body)
        {
            Span<byte> head = stackalloc byte[LongestHead];
            int size = WriteHead(head, flags, body.Length);
            var frame = new byte[size + body.Length];
            head.Slice(0, size).CopyTo(frame);
            body.CopyTo(frame.AsSpan(size));
            return frame;
        }

        static void AppendName(MessageBuffer body, string name)
        {
            body.Append(new[] { (byte)name.Length });
            body.Append(Encoding.ASCII.GetBytes(name));
        }
    }
}
