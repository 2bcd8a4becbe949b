using Unity.Collections;
using UnityEngine;
using UnityEngine.XR.ARFoundation;
using UnityEngine.XR.ARKit;
using Shape = UnityEngine.XR.ARKit.ARKitBlendShapeLocation;

namespace FlexAvatar
{
    /// <summary>
    /// Drives with the first face that ARFoundation tracks, on devices with ARKit.
    /// </summary>
    [AddComponentMenu("FlexAvatar/AR Face")]
    public sealed class FlexAvatarARFace : MonoBehaviour
    {
        public FlexAvatarDriver driver;
        public ARFaceManager faces;

        // in the order of ArkitNames
        static readonly Shape[] Shapes =
        {
            Shape.EyeBlinkLeft, Shape.EyeLookDownLeft, Shape.EyeLookInLeft, Shape.EyeLookOutLeft,
            Shape.EyeLookUpLeft, Shape.EyeSquintLeft, Shape.EyeWideLeft, Shape.EyeBlinkRight,
            Shape.EyeLookDownRight, Shape.EyeLookInRight, Shape.EyeLookOutRight,
            Shape.EyeLookUpRight, Shape.EyeSquintRight, Shape.EyeWideRight, Shape.JawForward,
            Shape.JawLeft, Shape.JawRight, Shape.JawOpen, Shape.MouthClose, Shape.MouthFunnel,
            Shape.MouthPucker, Shape.MouthLeft, Shape.MouthRight, Shape.MouthSmileLeft,
            Shape.MouthSmileRight, Shape.MouthFrownLeft, Shape.MouthFrownRight,
            Shape.MouthDimpleLeft, Shape.MouthDimpleRight, Shape.MouthStretchLeft,
            Shape.MouthStretchRight, Shape.MouthRollLower, Shape.MouthRollUpper,
            Shape.MouthShrugLower, Shape.MouthShrugUpper, Shape.MouthPressLeft,
            Shape.MouthPressRight, Shape.MouthLowerDownLeft, Shape.MouthLowerDownRight,
            Shape.MouthUpperUpLeft, Shape.MouthUpperUpRight, Shape.BrowDownLeft,
            Shape.BrowDownRight, Shape.BrowInnerUp, Shape.BrowOuterUpLeft, Shape.BrowOuterUpRight,
            Shape.CheekPuff, Shape.CheekSquintLeft, Shape.CheekSquintRight, Shape.NoseSneerLeft,
            Shape.NoseSneerRight, Shape.TongueOut,
        };

        readonly int[] _places = Places();

        void Update()
        {
            if (driver == null || faces == null
                || !(faces.subsystem is ARKitFaceSubsystem subsystem))
                return;
            foreach (ARFace face in faces.trackables)
            {
                Take(subsystem, face);
                return;
            }
        }

        void Take(ARKitFaceSubsystem subsystem, ARFace face)
        {
            using NativeArray<ARKitBlendShapeCoefficient> found =
                subsystem.GetBlendShapeCoefficients(face.trackableId, Allocator.Temp);
            for (int i = 0; i < found.Length; i++)
            {
                int shape = (int)found[i].blendShapeLocation;
                if (shape >= 0 && shape < _places.Length && _places[shape] >= 0)
                    driver.weights[_places[shape]] = found[i].coefficient;
            }
        }

        // the place among the weights by the shape's number
        static int[] Places()
        {
            int most = 0;
            foreach (Shape shape in Shapes)
                most = Mathf.Max(most, (int)shape);
            var places = new int[most + 1];
            for (int i = 0; i < places.Length; i++)
                places[i] = System.Array.IndexOf(Shapes, (Shape)i);
            return places;
        }
    }
}
