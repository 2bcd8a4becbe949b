using System;
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>What a wait for a message ended with.</summary>
    public enum Arrival
    {
        Message,
        /// <summary>Nothing came in the time given; what has come of a message is kept.</summary>
        Nothing,
        /// <summary>A message that was too large or of several parts, and was skipped.</summary>
        Skipped,
    }

    /// <summary>
    /// One TCP connection that speaks ZMTP as a SUB or PUSH socket. For one thread, which is never
    /// kept longer than it said: every wait ends within 50 ms of its token's cancellation, with
    /// OperationCanceledException.
    /// </summary>
    public sealed class ZmtpConnection : IDisposable
    {
        const int StagingBytes = 16384;
        const int HandshakeMs = 3000;
        const int SliceMs = 50; // how soon a wait hears of its token
        const int LargestCommand = 4096;
        static readonly byte[] PingFrame = ZmtpFrames.Ping();

        readonly Socket _socket;
        readonly int _maxMessageBytes;
        readonly CancellationToken _cancel;
        readonly byte[] _staging = new byte[StagingBytes];
        readonly byte[] _head = new byte[ZmtpFrames.LongestHead];
        readonly MessageBuffer _command = new MessageBuffer();
        int _start, _end;
        int _minor;

        // of the frame that is being read: left is -1 between frames
        byte _flags;
        long _bytesLeft = -1;
        bool _skipping;

        /// <summary>When bytes last came, on <see cref="Clock"/>.</summary>
        public long LastReceivedNs { get; private set; }
        public long BytesReceived { get; private set; }

        ZmtpConnection(Socket socket, int maxMessageBytes, CancellationToken cancel)
        {
            (_socket, _maxMessageBytes, _cancel) = (socket, maxMessageBytes, cancel);
            LastReceivedNs = Clock.NowNs;
        }

        /// <summary>
        /// Connect to "tcp://host:port" as "SUB" or "PUSH". Throws SocketException, ZmtpException,
        /// TimeoutException, FormatException.
        /// </summary>
        public static ZmtpConnection Open(
            string address, string socketType, int maxMessageBytes, CancellationToken cancel)
        {
            var (host, port) = TcpAddress.Parse(address);
            Socket socket = TcpConnector.Open(host, port, HandshakeMs, cancel);
            var connection = new ZmtpConnection(socket, maxMessageBytes, cancel);
            try
            {
                connection.Handshake(socketType);
                return connection;
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        }

        /// <summary>Ask for messages that start with these bytes.</summary>
        public void Subscribe(ReadOnlySpan<byte> topic) =>
            SendAll(ZmtpFrames.Subscribe(topic, _minor));

        /// <summary>
        /// Ask the peer for a sign of life; it shows in <see cref="LastReceivedNs"/>.
        /// </summary>
        public void Ping() => SendAll(PingFrame);

        /// <summary>
        /// Send one message of one part. Throws SocketException, TimeoutException.
        /// </summary>
        public void Send(byte[] message, int length)
        {
            int head = ZmtpFrames.WriteHead(_head, 0, length);
            SendAll(_head, head);
            SendAll(message, length);
        }

        /// <summary>
        /// The next message, into a buffer that must be the same until it is complete. Throws
        /// SocketException when the peer has gone, ZmtpException.
        /// </summary>
        public Arrival Receive(MessageBuffer into, int timeoutMs)
        {
            long deadline = Clock.NowNs + timeoutMs * 1_000_000L;
            while (true)
            {
                if (_bytesLeft < 0 && !ReadHead(into))
                {
                    if (!FillStaging(deadline))
                        return Arrival.Nothing;
                    continue;
                }
                if (!ReadBody(into, deadline))
                    return Arrival.Nothing;
                _bytesLeft = -1;
                if ((_flags & ZmtpFrames.Command) != 0)
                    HandleCommand(_command.Span);
                else if ((_flags & ZmtpFrames.More) != 0)
                    _skipping = true; // our messages have one part
                else if (_skipping)
                {
                    _skipping = false;
                    return Arrival.Skipped;
                }
                else
                    return Arrival.Message;
            }
        }

        /// <summary>Hang up.</summary>
        public void Dispose() => _socket.Close(0);

        void Handshake(string socketType)
        {
            SendAll(ZmtpFrames.Greeting());
            long deadline = Clock.NowNs + HandshakeMs * 1_000_000L;
            while (_end - _start < ZmtpFrames.GreetingBytes)
                WaitFor(deadline);
            _minor = ZmtpFrames.ReadGreeting(_staging.AsSpan(_start, ZmtpFrames.GreetingBytes));
            _start += ZmtpFrames.GreetingBytes;
            SendAll(ZmtpFrames.Ready(socketType));
            while (!ReadHead(_command) || !ReadBody(_command, Clock.NowNs))
                WaitFor(deadline);
            _bytesLeft = -1;
            if ((_flags & ZmtpFrames.Command) == 0 || !ZmtpFrames.IsCommand(_command.Span, "READY"))
                throw new ZmtpException("the peer refused the connection");
        }

        void WaitFor(long deadline)
        {
            if (Clock.NowNs > deadline)
                throw new TimeoutException("the peer does not answer as ZeroMQ does");
            FillStaging(Clock.NowNs + SliceMs * 1_000_000L);
        }

        // the head of the next frame from what is staged; false: more bytes are needed
        bool ReadHead(MessageBuffer into)
        {
            if (_bytesLeft >= 0)
                return true;
            int staged = _end - _start;
            if (staged < 2)
                return false;
            byte flags = _staging[_start];
            bool isLong = (flags & ZmtpFrames.Long) != 0;
            if ((flags & 0xF8) != 0)
                throw new ZmtpException($"a frame with unknown flags {flags:x2}");
            if (isLong && staged < ZmtpFrames.LongestHead)
                return false;
            long size = isLong
                ? BinaryPrimitives.ReadInt64BigEndian(_staging.AsSpan(_start + 1))
                : _staging[_start + 1];
            _start += isLong ? ZmtpFrames.LongestHead : 2;
            BeginFrame(flags, size, into);
            return true;
        }

        void BeginFrame(byte flags, long size, MessageBuffer into)
        {
            bool command = (flags & ZmtpFrames.Command) != 0;
            if (size < 0 || (command && size > LargestCommand))
                throw new ZmtpException($"a frame of {size} bytes");
            (_flags, _bytesLeft) = (flags, size);
            if (command)
                _command.Length = 0;
            else if (size > _maxMessageBytes)
                _skipping = true;
            else
                into.Length = 0;
        }

        // the frame's body; false: the deadline has come. Memory grows with what has come, not
        // with what a head says will come.
        bool ReadBody(MessageBuffer message, long deadline)
        {
            bool command = (_flags & ZmtpFrames.Command) != 0;
            MessageBuffer into = command ? _command : message;
            while (_bytesLeft > 0)
            {
                int staged = (int)Math.Min(_end - _start, _bytesLeft);
                if (staged == 0 && (_bytesLeft < StagingBytes || (_skipping && !command)))
                {
                    if (!FillStaging(deadline))
                        return false;
                    continue;
                }
                if (staged > 0)
                {
                    if (command || !_skipping)
                        into.Append(_staging.AsSpan(_start, staged));
                    _start += staged;
                    _bytesLeft -= staged;
                }
                else if (!FillMessage(into, deadline))
                    return false;
            }
            return true;
        }

        bool FillMessage(MessageBuffer into, long deadline)
        {
            if (!WaitReadable(deadline))
                return false;
            long doubled = Math.Max(2L * into.Length, 4 * StagingBytes);
            into.Reserve((int)Math.Min(into.Length + _bytesLeft, doubled));
            int room = (int)Math.Min(_bytesLeft, into.Bytes.Length - into.Length);
            int got = ReceiveInto(into.Bytes, into.Length, room);
            into.Length += got;
            _bytesLeft -= got;
            return true;
        }

        // more bytes into the staging buffer; false: the deadline has come
        bool FillStaging(long deadline)
        {
            if (!WaitReadable(deadline))
                return false;
            if (_start > 0)
            {
                Buffer.BlockCopy(_staging, _start, _staging, 0, _end - _start);
                (_start, _end) = (0, _end - _start);
            }
            _end += ReceiveInto(_staging, _end, StagingBytes - _end);
            return true;
        }

        bool WaitReadable(long deadline)
        {
            while (true)
            {
                long leftMs = Math.Max(0, (deadline - Clock.NowNs) / 1_000_000);
                _cancel.ThrowIfCancellationRequested();
                if (_socket.Poll((int)Math.Min(leftMs, SliceMs) * 1000, SelectMode.SelectRead))
                    return true;
                if (leftMs == 0)
                    return false;
            }
        }

        int ReceiveInto(byte[] bytes, int start, int room)
        {
            int got = _socket.Receive(bytes, start, room, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success)
                throw new SocketException((int)error);
            if (got == 0)
                throw new SocketException((int)SocketError.ConnectionReset);
            LastReceivedNs = Clock.NowNs;
            BytesReceived += got;
            return got;
        }

        void HandleCommand(ReadOnlySpan<byte> command)
        {
            if (ZmtpFrames.IsCommand(command, "PING"))
                SendAll(ZmtpFrames.Pong(command));
            else if (ZmtpFrames.IsCommand(command, "ERROR"))
                throw new ZmtpException("the peer ended the connection with an error");
        }

        void SendAll(byte[] bytes) => SendAll(bytes, bytes.Length);

        void SendAll(byte[] bytes, int length)
        {
            long deadline = Clock.NowNs + HandshakeMs * 1_000_000L;
            for (int sent = 0; sent < length;)
            {
                _cancel.ThrowIfCancellationRequested();
                if (_socket.Poll(SliceMs * 1000, SelectMode.SelectWrite))
                {
                    sent += _socket.Send(
                        bytes, sent, length - sent, SocketFlags.None, out SocketError error);
                    if (error != SocketError.Success && error != SocketError.WouldBlock)
                        throw new SocketException((int)error);
                }
                else if (Clock.NowNs > deadline)
                    throw new TimeoutException("the peer takes no more bytes");
            }
        }
    }
}
