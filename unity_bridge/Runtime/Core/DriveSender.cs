using System;
using System.Text;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>
    /// Sends drive packets of one session from a thread of its own; what is not sent yet is
    /// replaced by the next: newest wins. Reconnects by itself.
    /// </summary>
    public sealed class DriveSender : IDisposable
    {
        const int LongestAnswer = 4096; // a PULL socket says nothing but commands
        const int JoinMs = 1000; // its waits end within 50 ms
        readonly Mailbox<DriveSignal> _signals = new Mailbox<DriveSignal>();
        readonly AutoResetEvent _wake = new AutoResetEvent(false);
        readonly CancellationTokenSource _stop = new CancellationTokenSource();
        readonly byte[] _packet = new byte[DriveSignal.PacketBytes];
        readonly MessageBuffer _answer = new MessageBuffer();
        readonly string _address;
        readonly byte[] _session, _token;
        readonly Thread _thread;
        uint _seq;
        long _sent;
        volatile string _lastError = "";

        public DriveSender(SessionInfo session)
        {
            _address = session.DriveAddress;
            _session = Encoding.ASCII.GetBytes(session.SessionId);
            _token = Encoding.ASCII.GetBytes(session.OwnerToken);
            _thread = new Thread(Run) { IsBackground = true, Name = "FlexAvatar drive" };
            _thread.Start();
        }

        /// <summary>Packets that the socket has taken.</summary>
        public long Sent => Interlocked.Read(ref _sent);

        /// <summary>Why no packets go out; empty while they do.</summary>
        public string LastError => _lastError;

        /// <summary>
        /// Show this next. Copies the signal and returns at once; for one thread.
        /// </summary>
        public void Send(DriveSignal signal)
        {
            _signals.Writing.CopyFrom(signal);
            _signals.Publish();
            _wake.Set();
        }

        /// <summary>
        /// Close the connection and wait for the thread: for a thread of a link, not an engine's.
        /// </summary>
        public void Dispose()
        {
            _stop.Cancel();
            _wake.Set();
            if (_thread.Join(JoinMs))
            {
                _wake.Dispose();
                _stop.Dispose();
            }
        }

        void Run()
        {
            var backoff = new Backoff();
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    using var connection =
                        ZmtpConnection.Open(_address, "PUSH", LongestAnswer, _stop.Token);
                    _lastError = "";
                    backoff.Reset();
                    SendAll(connection);
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception error)
                {
                    _lastError = "drive packets: " + LinkErrors.Describe(error);
                    _stop.Token.WaitHandle.WaitOne(backoff.NextMs());
                }
            }
        }

        void SendAll(ZmtpConnection connection)
        {
            // how often the server's commands are read while nothing is sent
            const int AnswersMs = 1000;
            while (!_stop.IsCancellationRequested)
            {
                _wake.WaitOne(AnswersMs);
                connection.Receive(_answer, 0);
                DriveSignal signal = _signals.TryTake();
                if (signal == null)
                    continue;
                signal.Write(_packet, _session, _token, ++_seq);
                connection.Send(_packet, _packet.Length);
                Interlocked.Increment(ref _sent);
            }
        }
    }
}
