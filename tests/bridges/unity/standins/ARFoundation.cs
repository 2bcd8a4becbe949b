// Stand-ins for the little of ARFoundation and its ARKit plug-in that the package uses, see
// Objects.cs.

using System.Collections.Generic;
using Unity.Collections;

namespace UnityEngine.XR.ARFoundation
{
    public struct TrackableId { }

    public sealed class ARFace : MonoBehaviour
    {
        public TrackableId trackableId => default;
    }

    public sealed class ARFaceManager : MonoBehaviour
    {
        public object subsystem => null;
        public List<ARFace> trackables => new List<ARFace>();
    }
}

namespace UnityEngine.XR.ARKit
{
    public enum ARKitBlendShapeLocation
    {
        BrowDownLeft, BrowDownRight, BrowInnerUp, BrowOuterUpLeft, BrowOuterUpRight, CheekPuff,
        CheekSquintLeft, CheekSquintRight, EyeBlinkLeft, EyeBlinkRight, EyeLookDownLeft,
        EyeLookDownRight, EyeLookInLeft, EyeLookInRight, EyeLookOutLeft, EyeLookOutRight,
        EyeLookUpLeft, EyeLookUpRight, EyeSquintLeft, EyeSquintRight, EyeWideLeft, EyeWideRight,
        JawForward, JawLeft, JawOpen, JawRight, MouthClose, MouthDimpleLeft, MouthDimpleRight,
        MouthFrownLeft, MouthFrownRight, MouthFunnel, MouthLeft, MouthLowerDownLeft,
        MouthLowerDownRight, MouthPressLeft, MouthPressRight, MouthPucker, MouthRight,
        MouthRollLower, MouthRollUpper, MouthShrugLower, MouthShrugUpper, MouthSmileLeft,
        MouthSmileRight, MouthStretchLeft, MouthStretchRight, MouthUpperUpLeft, MouthUpperUpRight,
        NoseSneerLeft, NoseSneerRight, TongueOut,
    }

    public struct ARKitBlendShapeCoefficient
    {
        public ARKitBlendShapeLocation blendShapeLocation => default;
        public float coefficient => 0;
    }

    public sealed class ARKitFaceSubsystem
    {
        public NativeArray<ARKitBlendShapeCoefficient> GetBlendShapeCoefficients(
            ARFoundation.TrackableId face, Allocator allocator) => default;
    }
}
