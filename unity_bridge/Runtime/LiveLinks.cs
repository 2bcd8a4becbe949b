using System.Collections.Generic;

namespace FlexAvatar
{
    /// <summary>
    /// The connections that are open, so that they can be closed before the editor reloads its
    /// scripts: a thread that outlived that would freeze it. For Unity's thread.
    /// </summary>
    public static class LiveLinks
    {
        static readonly List<AvatarLink> Links = new List<AvatarLink>();

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
        }

        /// <summary>Close all of them.</summary>
        public static void CloseAll()
        {
            while (Links.Count > 0)
                Close(Links[Links.Count - 1]);
        }
    }
}
