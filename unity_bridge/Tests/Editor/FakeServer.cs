using System;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;

namespace FlexAvatar.Tests
{
    /// <summary>
    /// Answers calls by their names with JSON, and those that it has no answer to never: they wait.
    /// </summary>
    sealed class FakeServer : IDisposable
    {
        readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
        readonly ConcurrentBag<TcpClient> _silent = new ConcurrentBag<TcpClient>();

        volatile bool _disposed;

        internal FakeServer()
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            new Thread(Serve) { IsBackground = true }.Start();
        }

        internal ConcurrentDictionary<string, string> Answers { get; } =
            new ConcurrentDictionary<string, string>();
        internal int Port { get; }
        internal string Address => $"http://127.0.0.1:{Port}";

        /// <summary>
        /// A session whose frames come from here, which is silent; its drive address is as given.
        /// </summary>
        internal string Session(string driveAddress) => new JsonWriter()
            .Add("sessionId", "0123456789abcdef").Add("ownerToken", new string('a', 32))
            .Add("frameAddress", $"tcp://127.0.0.1:{Port}").Add("driveAddress", driveAddress)
            .Add("topic", Convert.ToBase64String(new byte[WireHeader.TopicBytes]))
            .Add("camera", new JsonWriter()
                .Add("viewmat", new float[16]).Add("K", new float[9])).ToString();

        public void Dispose()
        {
            _disposed = true;
            _listener.Stop();
            foreach (TcpClient client in _silent)
                client.Close();
        }

        void Serve()
        {
            try
            {
                while (true)
                    Answer(_listener.AcceptTcpClient());
            }
            catch (Exception) when (_disposed)
            {
            }
        }

        void Answer(TcpClient client)
        {
            var request = new byte[4096];
            client.ReceiveTimeout = 200; // a peer that speaks ZMTP waits for a greeting
            int length;
            try
            {
                length = client.GetStream().Read(request, 0, request.Length);
            }
            catch (System.IO.IOException)
            {
                length = 0;
            }
            string[] words = Encoding.ASCII.GetString(request, 0, length).Split(' ');
            string path = words[0] == "POST" ? words[1] : "";
            if (!Answers.TryGetValue(path.Substring(path.LastIndexOf('/') + 1), out string json))
            {
                _silent.Add(client);
                return;
            }
            byte[] answer = Encoding.ASCII.GetBytes(
                $"HTTP/1.1 200 OK\r\nContent-Length: {json.Length}\r\n"
                + $"Connection: close\r\n\r\n{json}");
            client.GetStream().Write(answer, 0, answer.Length);
            client.Close();
        }
    }
}
