using System;
using System.Buffers.Binary;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>
    /// Sends a voice as it is spoken: the server opens the mouth of a session that has "audio"
    /// among its sources. Calls go out from a thread of its own, twenty a second; nobody waits for
    /// it.
    /// </summary>
    public sealed class VoiceSender : IDisposable
    {
        const int CallsPerSecond = 20;
        const int LongestSeconds = 2; // of sound that waits; more is dropped, the newest first
        readonly object _gate = new object();
        readonly CancellationTokenSource _stop = new CancellationTokenSource();
        readonly ServiceClient _service;
        readonly SessionInfo _session;
        readonly int _rate;
        readonly byte[] _waiting, _chunk;
        readonly ulong _startNs = (ulong)Clock.NowNs;
        int _bytes;
        long _sent;
        volatile string _lastError = "";

        /// <summary>One channel of `sampleRate`, 8000 to 48000 a second.</summary>
        public VoiceSender(ServiceClient service, SessionInfo session, int sampleRate)
        {
            (_service, _session, _rate) = (service, session, sampleRate);
            _waiting = new byte[2 * LongestSeconds * sampleRate];
            _chunk = new byte[_waiting.Length];
            new Thread(Run) { IsBackground = true, Name = "FlexAvatar voice" }.Start();
        }

        /// <summary>Samples that the server has taken.</summary>
        public long Sent => Interlocked.Read(ref _sent);

        /// <summary>Why the sound does not arrive; empty while the server takes it.</summary>
        public string LastError => _lastError;

        /// <summary>The next samples, -1..1. Copies them and returns at once.</summary>
        public void Push(ReadOnlySpan<float> samples)
        {
            lock (_gate)
            {
                int room = Math.Min(samples.Length, (_waiting.Length - _bytes) / 2);
                for (int i = 0; i < room; i++, _bytes += 2)
                {
                    float sample = Math.Max(-1f, Math.Min(1f, samples[i]));
                    BinaryPrimitives.WriteInt16LittleEndian(
                        _waiting.AsSpan(_bytes), (short)(sample * short.MaxValue));
                }
                Monitor.Pulse(_gate);
            }
        }

        /// <summary>Stop. Returns at once; a call under way is cancelled.</summary>
        public void Dispose()
        {
            _stop.Cancel();
            lock (_gate)
                Monitor.Pulse(_gate);
        }

        void Run()
        {
            while (WaitForSound(out int length))
            {
                try
                {
                    string chunk = Convert.ToBase64String(_chunk, 0, length);
                    _service.DriveAudioOnce(Header(), (ulong)_sent, chunk, _stop.Token).GetAwaiter()
                        .GetResult();
                    Interlocked.Add(ref _sent, length / 2);
                    _lastError = "";
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception error)
                {
                    // this sound is lost; the next is tried
                    _lastError = LinkErrors.Describe(error);
                }
            }
        }

        // a twentieth of a second or more, into the chunk; false: it is over
        bool WaitForSound(out int length)
        {
            lock (_gate)
            {
                while (_bytes < 2 * _rate / CallsPerSecond && !_stop.IsCancellationRequested)
                    Monitor.Wait(_gate);
                length = _bytes;
                Buffer.BlockCopy(_waiting, 0, _chunk, 0, length);
                _bytes = 0;
            }
            return !_stop.IsCancellationRequested;
        }

        JsonWriter Header() => new JsonWriter()
            .Add("sessionId", _session.SessionId).Add("ownerToken", _session.OwnerToken)
            .Add("sampleRate", _rate).Add64("ptsNs", _startNs).Add("live", true);
    }
}
