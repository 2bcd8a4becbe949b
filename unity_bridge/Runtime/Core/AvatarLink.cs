using System;
using System.Threading;

namespace FlexAvatar
{
    public enum LinkState
    {
        Stopped,
        /// <summary>Asking the server for a session, or connecting to its frames.</summary>
        Connecting,
        /// <summary>
        /// Something went wrong, see LastError; the next attempt follows by itself.
        /// </summary>
        Waiting,
        Streaming,
    }

    /// <summary>
    /// An avatar on a server, kept on screen: starts a session, receives its frames, drives it, and
    /// does all that again when the server or the network was away. Its threads do the waiting: no
    /// member but <see cref="Join"/> takes longer than a lock.
    /// </summary>
    public sealed class AvatarLink : IDisposable
    {
        const int SliceMs = 250;
        const int FirstMessageMs = 2000; // a new subscription is answered at once
        const int SilenceMs = 4000;      // a session at rest repeats itself twice a second
        const int PingMs = 1000;
        const int EndMs = 500;
        const int Attempts = 2;

        readonly object _gate = new object();
        readonly ServiceClient _service;
        readonly SessionRequest _request;
        readonly CancellationTokenSource _stop = new CancellationTokenSource();
        readonly Backoff _backoff = new Backoff();
        readonly Thread _thread;
        readonly DriveSignal _lastSignal = new DriveSignal();
        volatile DriveSender _sender;
        MessageBuffer _message = new MessageBuffer();
        volatile SessionInfo _session;
        volatile string _lastError = "";
        volatile int _state = (int)LinkState.Connecting;

        /// <summary>Start. Throws ServiceException if the address is none.</summary>
        public AvatarLink(string address, string token, SessionRequest request)
        {
            _service = new ServiceClient(address, token);
            _request = request;
            _thread = new Thread(Run) { IsBackground = true, Name = "FlexAvatar frames" };
            _thread.Start();
        }

        /// <summary>The newest frames.</summary>
        public FrameMailboxes Frames { get; } = new FrameMailboxes();
        public LinkState State =>
            _stop.IsCancellationRequested ? LinkState.Stopped : (LinkState)_state;
        /// <summary>What went wrong last; empty while all is well.</summary>
        public string LastError => _lastError != "" ? _lastError : _sender?.LastError ?? "";
        /// <summary>The session that is shown; null while there is none.</summary>
        public SessionInfo Session => _session;
        public StreamFigures Figures => Frames.Statistics.Figures;

        /// <summary>Show this next. What a new session begins with, too.</summary>
        public void Drive(DriveSignal signal)
        {
            lock (_gate)
            {
                _lastSignal.CopyFrom(signal);
                _sender?.Send(signal);
            }
        }

        /// <summary>
        /// Stop. Returns at once: its thread tells the server and lets go of all sockets, typically
        /// within 0.1 s, half a second if the server does not answer.
        /// </summary>
        public void Dispose() => _stop.Cancel();

        /// <summary>
        /// Wait for that, so long at most: where this code is unloaded or the program ends, never
        /// in a game that runs. Whether it is over.
        /// </summary>
        public bool Join(int timeoutMs) => _thread.Join(timeoutMs);

        void Run()
        {
            while (!_stop.IsCancellationRequested)
            {
                _state = (int)LinkState.Connecting;
                try
                {
                    RunSession();
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    break;
                }
                catch (Exception error)
                {
                    Pause(LinkErrors.Describe(error));
                }
            }
            _service.Dispose();
        }

        void RunSession()
        {
            SessionInfo session = _service.StartSession(_request, _stop.Token).GetAwaiter()
                .GetResult();
            try
            {
                if (session.Encrypted)
                    throw new ServiceException("unimplemented",
                        "the server encrypts its frames (CURVE), which this package cannot read:"
                        + " let it listen on loopback and reach it through a tunnel");
                OpenDrive(session);
                _session = session;
                Stream(session);
            }
            finally
            {
                _session = null;
                CloseDrive();
                End(session);
            }
        }

        // connections to one session, until it has ended or gives no sign of life
        void Stream(SessionInfo session)
        {
            var decoder = new FrameDecoder(session.Topic, Frames);
            for (int silent = 0; silent < Attempts;)
            {
                long before = Figures.Frames;
                try
                {
                    using var connection = ZmtpConnection.Open(
                        session.FrameAddress, "SUB", session.LargestMessage, _stop.Token);
                    connection.Subscribe(session.Topic);
                    ReceiveFrames(connection, decoder);
                }
                catch (Exception error) when (LinkErrors.IsOfNetwork(error))
                {
                    _lastError = error.Message;
                }
                if (decoder.EndReason != null)
                    throw new ServiceException(
                        "aborted", $"the session has ended: {decoder.EndReason}");
                silent = Figures.Frames > before ? 0 : silent + 1;
                Frames.Statistics.CountReconnect();
                Pause(_lastError);
                _stop.Token.ThrowIfCancellationRequested();
                _state = (int)LinkState.Connecting;
            }
        }

        // until the connection is lost (throws) or the session has ended
        void ReceiveFrames(ZmtpConnection connection, FrameDecoder decoder)
        {
            long heard = Clock.NowNs, pinged = heard;
            int patienceMs = FirstMessageMs;
            while (decoder.EndReason == null)
            {
                Arrival arrival = connection.Receive(_message, SliceMs);
                long now = Clock.NowNs;
                if (arrival == Arrival.Message)
                {
                    DecodeMessage(decoder);
                    (heard, patienceMs) = (now, SilenceMs);
                }
                else if (arrival == Arrival.Skipped)
                    Frames.Statistics.CountRefused();
                else if (now - heard > patienceMs * 1_000_000L)
                    throw new TimeoutException($"no frame came for {patienceMs / 1000} s");
                else if (now - Math.Max(connection.LastReceivedNs, pinged) > PingMs * 1_000_000L)
                {
                    connection.Ping(); // a cable that was pulled shows when this is not taken
                    pinged = now;
                }
            }
        }

        void DecodeMessage(FrameDecoder decoder)
        {
            try
            {
                decoder.Decode(ref _message);
                if (_state == (int)LinkState.Streaming)
                    return;
                _backoff.Reset();
                _lastError = "";
                _state = (int)LinkState.Streaming;
            }
            catch (WireException error)
            {
                _lastError = error.Message;
                Frames.Statistics.CountRefused();
            }
        }

        void Pause(string error)
        {
            _lastError = error;
            _state = (int)LinkState.Waiting;
            _stop.Token.WaitHandle.WaitOne(_backoff.NextMs());
        }

        void OpenDrive(SessionInfo session)
        {
            if (session.DriveAddress == "")
                return;
            lock (_gate)
            {
                _sender = new DriveSender(session);
                if (_lastSignal.Parts != DriveParts.None)
                    _sender.Send(_lastSignal);
            }
        }

        void CloseDrive()
        {
            DriveSender sender;
            lock (_gate)
                (sender, _sender) = (_sender, null);
            sender?.Dispose();
        }

        // tell the server, if it is there; if not, it notices by itself
        void End(SessionInfo session)
        {
            using var limit = new CancellationTokenSource(EndMs);
            try
            {
                _service.EndSession(session, limit.Token).GetAwaiter().GetResult();
            }
            catch (Exception error) when (LinkErrors.IsExpected(error))
            {
                // it has ended, or the server is away
            }
        }
    }
}
