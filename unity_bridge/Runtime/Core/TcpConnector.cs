using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace FlexAvatar
{
    /// <summary>Opens TCP connections; no wait outlives its token's cancellation by 50 ms.</summary>
    static class TcpConnector
    {
        const int SliceMs = 50; // how soon a wait hears of its token

        /// <summary>
        /// Connect to a name or an address. Every address has `timeoutMs`. Throws SocketException,
        /// TimeoutException, OperationCanceledException.
        /// </summary>
        internal static Socket Open(string host, int port, int timeoutMs, CancellationToken cancel)
        {
            // "localhost" has an address of either kind, and a server often listens on one of them
            IPAddress[] found = IPAddress.TryParse(host, out IPAddress one)
                ? new[] { one }
                : Resolve(host, timeoutMs, cancel);
            for (int i = 0; i < found.Length - 1; i++)
            {
                try
                {
                    return Open(new IPEndPoint(found[i], port), timeoutMs, cancel);
                }
                catch (Exception error) when (error is SocketException || error is TimeoutException)
                {
                    // the next address may answer
                }
            }
            if (found.Length == 0)
                throw new SocketException((int)SocketError.HostNotFound);
            return Open(new IPEndPoint(found[found.Length - 1], port), timeoutMs, cancel);
        }

        // a resolver that is away takes many seconds to say so
        static IPAddress[] Resolve(string host, int timeoutMs, CancellationToken cancel)
        {
            IAsyncResult attempt = Dns.BeginGetHostAddresses(host, null, null);
            Wait(attempt, host, timeoutMs, cancel);
            return Dns.EndGetHostAddresses(attempt);
        }

        static Socket Open(IPEndPoint end, int timeoutMs, CancellationToken cancel)
        {
            var socket = new Socket(
                end.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                IAsyncResult attempt = socket.BeginConnect(end, null, null);
                Wait(attempt, end, timeoutMs, cancel);
                socket.EndConnect(attempt);
                return socket;
            }
            catch
            {
                socket.Close(0);
                throw;
            }
        }

        static void Wait(IAsyncResult attempt, object what, int timeoutMs, CancellationToken cancel)
        {
            long deadline = Clock.NowNs + timeoutMs * 1_000_000L;
            while (!attempt.AsyncWaitHandle.WaitOne(SliceMs))
            {
                cancel.ThrowIfCancellationRequested();
                if (Clock.NowNs > deadline)
                    throw new TimeoutException($"{what} does not answer");
            }
        }
    }
}
