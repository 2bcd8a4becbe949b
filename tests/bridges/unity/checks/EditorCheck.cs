using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using FlexAvatar.Editor;
using UnityEditor;
using UnityEngine;

namespace FlexAvatar.Checks
{
    /// <summary>The receiver's Inspector: whoever asks the server for an avatar hears of it.</summary>
    static class EditorCheck
    {
        const double PatienceS = 20;

        internal static int Run(string address)
        {
            RuntimeHelpers.RunClassConstructor( // as InitializeOnLoad wants
                typeof(FlexAvatarReceiverEditor).Assembly
                    .GetType("FlexAvatar.Editor.CloseBeforeReload").TypeHandle);
            EditorUtility.Chosen = Path.GetTempFileName();
            File.WriteAllText(EditorUtility.Chosen, "a photo of nobody");
            FlexAvatarReceiverEditor open = Ask(address, "open");
            Until(() => Help(open).Contains("\"open\" has"));
            UnityEngine.Object.Destroy(Ask(address, "closed"));
            Until(() => UnityEngine.Debug.Logs.Count > 0);
            string closed = UnityEngine.Debug.Logs.Single();
            FlexAvatarReceiverEditor reloaded = Ask(address, "reloaded");
            AssemblyReloadEvents.Reload();
            string warned = UnityEngine.Debug.Logs.Last();
            Until(() => Help(reloaded).Contains("\"reloaded\" has"));
            AssemblyReloadEvents.Reload(); // nobody waits
            int logs = UnityEngine.Debug.Logs.Count;
            File.Delete(EditorUtility.Chosen);
            return Program.Say(new JsonWriter()
                .Add("closed", closed).Add("reloaded", warned).Add("logs", logs));
        }

        // an Inspector whose button was pressed
        static FlexAvatarReceiverEditor Ask(string address, string avatar)
        {
            var receiver = new GameObject("head").AddComponent<FlexAvatarReceiver>();
            (receiver.address, receiver.avatar) = (address, avatar);
            var inspector = new FlexAvatarReceiverEditor { target = receiver };
            GUILayout.Pressed = "Create";
            inspector.OnInspectorGUI();
            GUILayout.Pressed = "";
            return inspector;
        }

        static string Help(FlexAvatarReceiverEditor inspector)
        {
            inspector.OnInspectorGUI();
            return EditorGUILayout.Help;
        }

        static void Until(Func<bool> done)
        {
            var watch = Stopwatch.StartNew();
            while (!done())
            {
                Thread.Sleep(5);
                if (watch.Elapsed.TotalSeconds > PatienceS)
                    throw new TimeoutException(EditorGUILayout.Help);
            }
        }
    }
}
