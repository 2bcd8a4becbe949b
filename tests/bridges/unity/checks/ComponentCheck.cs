using System;
using System.Diagnostics;
using System.Threading;
using UnityEngine;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// The components in an engine of stand-ins: its messages are called, what they do is counted.
    /// </summary>
    static class ComponentCheck
    {
        const double PatienceS = 20;

        internal static int Run(string address, string avatar, string mode)
        {
            var head = new GameObject("head");
            var receiver = head.AddComponent<FlexAvatarReceiver>();
            (receiver.address, receiver.avatar, receiver.depth) = (address, avatar, true);
            (receiver.width, receiver.height) = (64, 64);
            receiver.mode = (ReceiverMode)Enum.Parse(typeof(ReceiverMode), mode);
            var driver = head.AddComponent<FlexAvatarDriver>();
            driver.receiver = receiver;
            driver.viewpoint = new Camera { gameObject = new GameObject() };
            driver.viewpoint.transform.position = new Vector3(0.5f, 0, -1);
            CameraRenderer view;
            if (mode == "Splats")
                view = head.AddComponent<FlexAvatarSplats>();
            else
            {
                var card = head.AddComponent<FlexAvatarPicture>();
                card.driver = driver;
                view = card;
            }
            view.receiver = receiver;
            int streaming = 0, lost = 0;
            receiver.onStreaming.AddListener(() => streaming++);
            receiver.onLost.AddListener(() => lost++);
            var camera = new Camera { gameObject = new GameObject() };
            foreach (MonoBehaviour component in new MonoBehaviour[] { receiver, view })
                component.SendMessage("OnEnable");
            long perFrame = Play(receiver, driver, camera);
            string picture = Describe(receiver.Picture) + " " + Describe(receiver.Depth);
            int open = LiveLinks.Count;
            float misplaced = Misplaced(receiver, driver, camera);
            LiveLinks.CloseAll(); // the editor is about to reload scripts
            foreach (MonoBehaviour component in new MonoBehaviour[] { view, receiver })
                component.SendMessage("OnDisable");
            receiver.SendMessage("OnDestroy");
            return Program.Say(new JsonWriter()
                .Add("draws", Graphics.Draws).Add("instances", Graphics.LastInstances)
                .Add("streaming", streaming).Add("lost", lost).Add("picture", picture)
                    .Add("open", open)
                .Add("left", LiveLinks.Count).Add("yaw", driver.Orbit.x)
                .Add("misplaced", misplaced).Add("errors", UnityEngine.Debug.Errors)
                .Add("state", receiver.State.ToString()).Add("bytesPerFrame", perFrame));
        }

        /// <summary>
        /// A microphone's component with a tone, in real time: how far the mouth opened.
        /// </summary>
        internal static int Speak(string address, string avatar)
        {
            var head = new GameObject("head");
            var receiver = head.AddComponent<FlexAvatarReceiver>();
            (receiver.address, receiver.avatar, receiver.width, receiver.height) =
                (address, avatar, 64, 64);
            receiver.sources = new[] { "audio" };
            var microphone = head.AddComponent<FlexAvatarMicrophone>();
            microphone.receiver = receiver;
            receiver.SendMessage("OnEnable");
            microphone.SendMessage("OnEnable");
            int widest = 0;
            receiver.PictureChanged += () =>
                widest = Math.Max(widest, receiver.Picture.GetRawTextureData<byte>()[0]);
            var watch = Stopwatch.StartNew();
            while (widest < 100 && watch.Elapsed.TotalSeconds < PatienceS)
            {
                Microphone.Position = (int)(16000 * watch.Elapsed.TotalSeconds);
                receiver.SendMessage("Update");
                microphone.SendMessage("Update");
                Thread.Sleep(5);
            }
            string error = microphone.LastError;
            microphone.SendMessage("OnDisable");
            receiver.SendMessage("OnDisable");
            UnityEngine.Application.Quit();
            return Program.Say(new JsonWriter()
                .Add("widest", widest).Add("error", error).Add("left", LiveLinks.Count));
        }

        // frames of the engine until much was drawn; bytes that this thread allocates a frame
        static long Play(FlexAvatarReceiver receiver, FlexAvatarDriver driver, Camera camera)
        {
            const int Settled = 60, Drawn = 200;
            var watch = Stopwatch.StartNew();
            long allocated = 0;
            Action update = receiver.Message("Update"), lateUpdate = driver.Message("LateUpdate");
            for (int i = 0; Graphics.Draws < Settled + Drawn; i++)
            {
                if (Graphics.Draws == Settled)
                    allocated = GC.GetAllocatedBytesForCurrentThread();
                driver.SetBlendShape("jawOpen", i % 50 / 500f);
                update();
                lateUpdate();
                Camera.onPreCull(camera);
                Thread.Sleep(2);
                if (watch.Elapsed.TotalSeconds > PatienceS)
                    throw new TimeoutException($"{receiver.State}: {receiver.Link?.LastError}");
            }
            return (GC.GetAllocatedBytesForCurrentThread() - allocated) / Drawn;
        }

        // a camera of Unity where the server's is: how far what it draws is from what the server
        // sees
        static float Misplaced(FlexAvatarReceiver receiver, FlexAvatarDriver driver, Camera camera)
        {
            bool splats = receiver.mode == ReceiverMode.Splats;
            float[] view = new float[16], inUnity = new float[16];
            Orbits.Turn(receiver.Link.Session.Viewmat, driver.Orbit.x, driver.Orbit.y, view);
            Axes.ViewToUnity(view, inUnity);
            camera.worldToCameraMatrix = UnityAxes.Matrix(inUnity);
            Camera.onPreCull(camera);
            string name = splats ? "_FlexModelView" : "_FlexCameraToView";
            Matrix4x4 found = Graphics.LastProperties.Matrices[Shader.Names.IndexOf(name)];
            float most = 0;
            for (int row = 0; row < 4; row++)
                for (int column = 0; column < 4; column++)
                {
                    // OpenCV's view of the head frame with y and z turned round; or nothing to move
                    float turned = (row == 1 || row == 2 ? -1 : 1) * view[4 * row + column];
                    float expected = splats ? turned : row == column ? 1 : 0;
                    most = Math.Max(most, Math.Abs(found[row, column] - expected));
                }
            return most;
        }

        static string Describe(Texture2D texture) =>
            texture == null ? "none" : $"{texture.width}x{texture.height}";
    }
}
