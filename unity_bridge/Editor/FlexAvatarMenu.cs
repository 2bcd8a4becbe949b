using UnityEditor;
using UnityEngine;

namespace FlexAvatar.Editor
{
    /// <summary>GameObject > FlexAvatar: a head with everything that it needs.</summary>
    static class FlexAvatarMenu
    {
        [MenuItem("GameObject/FlexAvatar/Head (Gaussians)", false, 10)]
        static void MakeSplats(MenuCommand command) => Make<FlexAvatarSplats>(command, ReceiverMode.Splats);

        [MenuItem("GameObject/FlexAvatar/Head (Picture)", false, 11)]
        static void MakePicture(MenuCommand command) => Make<FlexAvatarPicture>(command, ReceiverMode.Picture);

        static void Make<T>(MenuCommand command, ReceiverMode mode) where T : CameraRenderer
        {
            var head = new GameObject("FlexAvatar Head");
            GameObjectUtility.SetParentAndAlign(head, command.context as GameObject);
            var receiver = head.AddComponent<FlexAvatarReceiver>();
            receiver.mode = mode;
            head.AddComponent<FlexAvatarDriver>().receiver = receiver;
            head.AddComponent<FlexAvatarStats>().receiver = receiver;
            head.AddComponent<T>().receiver = receiver;
            Undo.RegisterCreatedObjectUndo(head, "Create FlexAvatar Head");
            Selection.activeObject = head;
        }
    }
}
