using System;
using System.Collections.Generic;
using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// The connections that are open or closing, so that their threads have ended before the editor
    /// reloads its scripts, which a thread that outlived that would freeze, and before the program
    /// ends, which would cut them off before the server hears of it. For Unity's thread.
    /// </summary>
    public static class LiveLinks
    {
        const int CloseMs = 2000; // half a second if the server does not answer
        static readonly List<AvatarLink> Links = new List<AvatarLink>();
        static readonly List<AvatarLink> Closing = new List<AvatarLink>();

        static LiveLinks() => Application.quitting += CloseAll;

        /// <summary>How many are open.</summary>
        public static int Count => Links.Count;

        internal static AvatarLink Open(string address, string token, SessionRequest request)
        {
            var link = new AvatarLink(address, token, request);
            Links.Add(link);
            return link;
        }

        internal static void Close(AvatarLink link)
        {
            Links.Remove(link);
            link.Dispose();
            Closing.RemoveAll(other => other.Join(0));
            Closing.Add(link);
        }

        /// <summary>
        /// Close all of them and wait until they are: the only wait of Unity's thread in this
        /// package, when no frame follows.
        /// </summary>
        public static void CloseAll()
        {
            while (Links.Count > 0)
                Close(Links[Links.Count - 1]);
            long deadline = Clock.NowNs + CloseMs * 1_000_000L;
            foreach (AvatarLink link in Closing)
                link.Join((int)Math.Max(0, (deadline - Clock.NowNs) / 1_000_000));
            Closing.Clear();
        }
    }
}
