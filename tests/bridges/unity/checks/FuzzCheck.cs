using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// Messages, streams of bytes and texts that lie: nothing but the package's own errors may
    /// come.
    /// </summary>
    static class FuzzCheck
    {
        const int Connections = 150;

        internal static int Run(string golden, int rounds)
        {
            var random = new Random(5);
            byte[][] messages = Directory.GetFiles(golden, "*.bin").OrderBy(f => f)
                .Select(File.ReadAllBytes).ToArray();
            long before = GC.GetTotalMemory(true);
            int refused = Enumerable.Range(0, rounds).Count(_ => !Survives(messages, random));
            int texts = Enumerable.Range(0, rounds).Count(_ => !IsJson(random));
            int hungUp = Enumerable.Range(0, Connections).Count(_ => !Receives(messages, random));
            long grown = GC.GetTotalMemory(true) - before;
            return Program.Say(new JsonWriter().Add("refused", refused).Add("texts", texts)
                .Add("hungUp", hungUp).Add("grownBytes", grown));
        }

        // whether all of a mutated session could be read
        static bool Survives(byte[][] messages, Random random)
        {
            var topic = messages.First(m => m[3] == 'A').AsSpan(0, WireHeader.TopicBytes).ToArray();
            var stream = new FrameDecoder(topic, new FrameMailboxes());
            try
            {
                foreach (byte[] original in messages.OrderBy(m => m.Length > 28 ? m[24] : 0))
                {
                    byte[] bytes = Mutated(original, random);
                    if (original[3] == 'D')
                    {
                        new DriveSignal().Read(bytes);
                        continue;
                    }
                    var message = new MessageBuffer();
                    message.Append(bytes);
                    stream.Decode(ref message);
                }
                return true;
            }
            catch (WireException)
            {
                return false;
            }
        }

        static byte[] Mutated(byte[] original, Random random)
        {
            byte[] bytes = original.ToArray();
            int chance = random.Next(10);
            if (chance < 3)
                return bytes;
            if (chance == 3)
                return bytes.AsSpan(0, random.Next(bytes.Length)).ToArray();
            int reach = random.Next(10) < 7 ? Math.Min(WireHeader.Bytes + 20, bytes.Length)
                : bytes.Length;
            for (int i = random.Next(1, 6); i > 0; i--)
                bytes[random.Next(reach)] = (byte)random.Next(256);
            return bytes;
        }

        static bool IsJson(Random random)
        {
            const string Good =
                "{\"sessionId\":\"0123\",\"kinds\":[\"A\",2,-3.5e2,true,null,{}],"
                + "\"topic\":\"Rkx\\u0041QQ==\"}";
            char[] text = Good.ToCharArray();
            for (int i = random.Next(1, 5); i > 0; i--)
                text[random.Next(text.Length)] = (char)random.Next(1, 128);
            try
            {
                Json json = Json.Parse(
                    new string(text, 0, random.Next(text.Length / 2, text.Length + 1)));
                _ = json["topic"].Base64.Length + json["kinds"].Items.Count
                    + json["sessionId"].Number;
                return true;
            }
            catch (JsonException)
            {
                return false;
            }
        }

        // whether a peer that says anything got a message through
        static bool Receives(byte[][] messages, Random random)
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            byte[] said = Speech(messages, random);
            Task peer = Task.Run(() => SayAndHangUp(listener, said));
            try
            {
                using var connection = ZmtpConnection.Open(
                    $"tcp://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", "SUB", 1 << 16,
                        CancellationToken.None);
                var message = new MessageBuffer();
                while (true)
                    if (connection.Receive(message, 1000) == Arrival.Message
                        && message.Bytes.Length > 1 << 17)
                        throw new InvalidOperationException("memory beyond the largest message");
            }
            catch (Exception error) when (
                error is SocketException || error is ZmtpException || error is TimeoutException)
            {
                return error is SocketException;
            }
            finally
            {
                peer.Wait();
                listener.Stop();
            }
        }

        static byte[] Speech(byte[][] messages, Random random)
        {
            var bytes = new List<byte>();
            bytes.AddRange(ZmtpFrames.Greeting());
            bytes.AddRange(ZmtpFrames.Ready("XPUB"));
            foreach (byte[] message in messages)
            {
                var head = new byte[ZmtpFrames.LongestHead];
                int size = ZmtpFrames.WriteHead(head, 0, message.Length);
                bytes.AddRange(head.Take(size));
                bytes.AddRange(message);
                bytes.AddRange(ZmtpFrames.Ping());
            }
            int reach = random.Next(2) == 0 ? 110 : bytes.Count;
            for (int i = random.Next(0, 8); i > 0; i--)
                bytes[random.Next(reach)] = (byte)random.Next(256);
            return bytes.Take(random.Next(1, bytes.Count + 1)).ToArray();
        }

        static void SayAndHangUp(TcpListener listener, byte[] said)
        {
            using Socket socket = listener.AcceptSocket();
            try
            {
                socket.Send(said);
                socket.Shutdown(SocketShutdown.Send);
                var answer = new byte[4096];
                while (socket.Receive(answer) > 0)
                {
                }
            }
            catch (SocketException)
            {
                // the other side hung up first
            }
        }
    }
}
