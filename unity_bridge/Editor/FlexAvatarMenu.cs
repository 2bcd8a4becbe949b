using UnityEditor;
using UnityEngine;

namespace FlexAvatar.Editor
{
    /// <summary>GameObject > FlexAvatar: a head with everything that it needs.</summary>
    static class FlexAvatarMenu
    {
        [MenuItem("GameObject/FlexAvatar/Head (Gaussians)", false, 10)]
        static void MakeSplats(MenuCommand command) =>
            Make<FlexAvatarSplats>(command, ReceiverMode.Splats, out _);

        [MenuItem("GameObject/FlexAvatar/Head (Picture)", false, 11)]
        static void MakePicture(MenuCommand command)
        {
            FlexAvatarPicture card =
                Make<FlexAvatarPicture>(command, ReceiverMode.Picture, out FlexAvatarDriver driver);
            card.driver = driver;
        }

        static T Make<T>(MenuCommand command, ReceiverMode mode, out FlexAvatarDriver driver)
            where T : CameraRenderer
        {
            var head = new GameObject("FlexAvatar Head");
            GameObjectUtility.SetParentAndAlign(head, command.context as GameObject);
            var receiver = head.AddComponent<FlexAvatarReceiver>();
            receiver.mode = mode;
            driver = head.AddComponent<FlexAvatarDriver>();
            driver.receiver = receiver;
            head.AddComponent<FlexAvatarStats>().receiver = receiver;
            var view = head.AddComponent<T>();
            view.receiver = receiver;
            Undo.RegisterCreatedObjectUndo(head, "Create FlexAvatar Head");
            Selection.activeObject = head;
            return view;
        }
    }
}
