using UnityEditor;

namespace FlexAvatar.Editor
{
    /// <summary>
    /// Closes all connections before scripts are reloaded and before the editor quits.
    /// </summary>
    [InitializeOnLoad]
    static class CloseBeforeReload
    {
        static CloseBeforeReload()
        {
            AssemblyReloadEvents.beforeAssemblyReload += LiveLinks.CloseAll;
            AssemblyReloadEvents.beforeAssemblyReload +=
                FlexAvatarReceiverEditor.WarnOfPendingCalls;
            EditorApplication.quitting += LiveLinks.CloseAll;
        }
    }
}
