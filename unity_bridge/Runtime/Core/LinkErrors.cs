using System;
using System.Net.Sockets;

namespace FlexAvatar
{
    /// <summary>How the threads of a connection tell what ended an attempt; they go on.</summary>
    static class LinkErrors
    {
        /// <summary>Its message if networks and servers do that; a bug shows whole.</summary>
        internal static string Describe(Exception error) =>
            IsExpected(error) ? error.Message : error.ToString();

        internal static bool IsOfNetwork(Exception error) =>
            error is SocketException || error is ZmtpException || error is TimeoutException;

        internal static bool IsExpected(Exception error) =>
            error is ServiceException || error is OperationCanceledException
                || error is FormatException || IsOfNetwork(error);
    }
}
