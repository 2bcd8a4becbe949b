using System;

namespace FlexAvatar
{
    /// <summary>"tcp://host:port", IPv6 in brackets.</summary>
    public static class TcpAddress
    {
        public static (string host, int port) Parse(string address)
        {
            const string Scheme = "tcp://";
            int colon = address.LastIndexOf(':');
            bool named =
                address.StartsWith(Scheme, StringComparison.Ordinal) && colon > Scheme.Length;
            if (!named || !int.TryParse(address.Substring(colon + 1), out int port) || port < 1
                || port > 65535)
                throw new FormatException($"expected tcp://host:port, got {address}");
            return (address.Substring(Scheme.Length, colon - Scheme.Length).Trim('[', ']'), port);
        }
    }
}
