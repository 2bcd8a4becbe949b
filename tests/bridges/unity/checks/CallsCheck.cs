using System;
using System.Text;
using System.Threading.Tasks;

namespace FlexAvatar.Checks
{
    /// <summary>Every call over HTTP, and the codes of those that are refused.</summary>
    static class CallsCheck
    {
        internal static int Run(string address)
        {
            using var service = new ServiceClient(address);
            byte[] photo = Encoding.ASCII.GetBytes("a photo of nobody");
            AvatarInfo made = service.CreateAvatar("unity", new[] { photo, photo }, quick: true).Result;
            var request = new SessionRequest
            {
                Avatar = made.Name,
                Width = 32,
                Height = 48,
                MorphTo = made.Name,
                OrbitYawDeg = 20,
                Sources = new[] { "drive" },
            };
            SessionInfo session = service.StartSession(request).Result;
            var signal = new DriveSignal
            {
                Parts = DriveParts.Arkit | DriveParts.Head | DriveParts.Orbit | DriveParts.Morph,
                PtsNs = 5,
                NeckPose = new Float3(0, 0.1f, 0),
                OrbitPitchDeg = 3,
                Morph = 0.5f,
            };
            signal.Weights[0] = 0.5f;
            service.DriveOnce(session, signal).Wait();
            signal.Weights[0] = 7;
            string refused = Code(service.DriveOnce(session, signal));
            service.EndSession(session).Wait();
            int avatars = service.ListAvatars().Result.Count;
            service.DeleteAvatar(made.Name).Wait();
            ServerInfo info = service.GetServerInfo().Result;
            return Program.Say(new JsonWriter()
                .Add("gaussians", made.Gaussians).Add("wire", info.WireVersion)
                .Add("size", $"{session.Width}x{session.Height}").Add("view", session.Viewmat)
                .Add("avatars", avatars).Add("left", info.Avatars)
                .Add("refused", refused)
                .Add("gone", Code(service.StartSession(request)))
                .Add("bad", Code(service.CreateAvatar("x", new[] { Encoding.ASCII.GetBytes("bad") })))
                .Add("nameless", Code(service.CreateAvatar("No Name", new[] { photo }))));
        }

        static string Code(Task call)
        {
            try
            {
                call.Wait();
                return "";
            }
            catch (AggregateException error) when (error.InnerException is ServiceException refusal)
            {
                return refusal.Code;
            }
        }
    }
}
