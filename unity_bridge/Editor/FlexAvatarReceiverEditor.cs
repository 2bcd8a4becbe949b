using System;
using System.Collections.Generic;
using System.IO;
using System.Threading.Tasks;
using UnityEditor;
using UnityEngine;

namespace FlexAvatar.Editor
{
    /// <summary>
    /// The receiver's Inspector: its settings, how it goes, and buttons to connect and to make an
    /// avatar.
    /// </summary>
    [CustomEditor(typeof(FlexAvatarReceiver))]
    public sealed class FlexAvatarReceiverEditor : UnityEditor.Editor
    {
        // what servers were asked by any Inspector and have not answered
        static readonly List<string> PendingCalls = new List<string>();

        Task<string> _task;
        string _answer = "";

        public override void OnInspectorGUI()
        {
            var receiver = (FlexAvatarReceiver)target;
            DrawDefaultInspector();
            EditorGUILayout.Space();
            EditorGUILayout.LabelField("State", receiver.State.ToString());
            string error = receiver.Link?.LastError ?? "";
            if (error != "")
                EditorGUILayout.HelpBox(error, MessageType.Warning);
            if (Application.isPlaying)
                DrawConnectButtons(receiver);
            DrawServerButtons(receiver);
        }

        public override bool RequiresConstantRepaint() => Application.isPlaying || _task != null;

        /// <summary>Scripts are reloaded: no call's answer is heard any more. Say which.</summary>
        internal static void WarnOfPendingCalls()
        {
            foreach (string what in PendingCalls)
                Debug.LogWarning(
                    $"FlexAvatar: scripts were reloaded before the server answered: {what}. "
                    + "\"Ask Server\" tells whether it was done.");
        }

        static void DrawConnectButtons(FlexAvatarReceiver receiver)
        {
            EditorGUILayout.BeginHorizontal();
            if (GUILayout.Button("Connect"))
                receiver.Connect();
            if (GUILayout.Button("Disconnect"))
                receiver.Disconnect();
            EditorGUILayout.EndHorizontal();
        }

        void DrawServerButtons(FlexAvatarReceiver receiver)
        {
            if (_task != null && _task.IsCompleted)
                (_answer, _task) = (_task.Result, null);
            using (new EditorGUI.DisabledScope(_task != null))
            {
                EditorGUILayout.BeginHorizontal();
                if (GUILayout.Button("Ask Server"))
                    Start(receiver, "list avatars", DescribeServer);
                if (GUILayout.Button($"Create \"{receiver.avatar}\" from Photo..."))
                    CreateFromPhoto(receiver);
                EditorGUILayout.EndHorizontal();
            }
            if (_answer != "")
                EditorGUILayout.HelpBox(_answer, MessageType.Info);
        }

        void CreateFromPhoto(FlexAvatarReceiver receiver)
        {
            string path = EditorUtility.OpenFilePanel(
                "Photo or video of one person", "", "jpg,jpeg,png,webp,mp4,mov,webm");
            if (path == "")
                return;
            byte[] photo = File.ReadAllBytes(path);
            string name = receiver.avatar;
            Start(receiver, $"create \"{name}\"", service => CreateAvatar(service, name, photo));
        }

        void Start(
            FlexAvatarReceiver receiver, string what, Func<ServiceClient, Task<string>> work)
        {
            _answer = "Waiting for the server...";
            _task = Run(receiver.address, receiver.token, what, work);
        }

        async Task<string> Run(
            string address, string token, string what, Func<ServiceClient, Task<string>> work)
        {
            PendingCalls.Add(what);
            string answer = await Answer(address, token, work);
            PendingCalls.Remove(what);
            if (this == null) // this Inspector was closed meanwhile: nobody reads its box
                Debug.Log($"FlexAvatar: {answer}");
            return answer;
        }

        static async Task<string> Answer(
            string address, string token, Func<ServiceClient, Task<string>> work)
        {
            try
            {
                using var service = new ServiceClient(address, token);
                return await work(service);
            }
            catch (ServiceException error)
            {
                return error.Message;
            }
            catch (Exception error)
            {
                Debug.LogException(error);
                return error.Message;
            }
        }

        static async Task<string> DescribeServer(ServiceClient service)
        {
            ServerInfo info = await service.GetServerInfo();
            IReadOnlyList<AvatarInfo> avatars = await service.ListAvatars();
            var names = new List<string>();
            foreach (AvatarInfo avatar in avatars)
                names.Add(avatar.Name);
            string all = string.Join(", ", names);
            return $"FlexAvatar {info.Version} on {info.Device}, avatars: {all}";
        }

        static async Task<string> CreateAvatar(
            ServiceClient service, string name, byte[] photo)
        {
            AvatarInfo made = await service.CreateAvatar(name, new[] { photo }, replace: true);
            string took = $"{made.CreateSeconds:0} s";
            return $"\"{made.Name}\" has {made.Gaussians} Gaussians and took {took}.";
        }
    }
}
