using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// Shows a receiver's picture as a card at this transform, where the server's camera saw it;
    /// with
    /// depth, every pixel is as far away as the head is there.
    /// </summary>
    [AddComponentMenu("FlexAvatar/Picture")]
    public sealed class FlexAvatarPicture : CameraRenderer
    {
        const int Vertices = 6;
        const float Reach = 2; // metres around the head, for culling
        static readonly int PictureId = Shader.PropertyToID("_FlexPicture");
        static readonly int DepthId = Shader.PropertyToID("_FlexDepth");
        static readonly int HasDepthId = Shader.PropertyToID("_FlexHasDepth");
        static readonly int CameraToViewId = Shader.PropertyToID("_FlexCameraToView");
        static readonly int IntrinsicsId = Shader.PropertyToID("_FlexIntrinsics");
        static readonly int SizeId = Shader.PropertyToID("_FlexSize");

        [Tooltip("Set it if its viewpoint is set: the card turns as the server's camera does")]
        public FlexAvatarDriver driver;

        readonly float[] _view = new float[16], _inUnity = new float[16];
        SessionInfo _session;

        private protected override string ShaderName => "FlexAvatar/Picture";

        private protected override bool Prepare(
            Camera camera, out int vertices, out int instances, out Bounds bounds)
        {
            (vertices, instances) = (Vertices, 1);
            bounds = new Bounds(transform.position, Reach * transform.lossyScale);
            _session = receiver.Link?.Session ?? _session;
            if (_session == null || receiver.Picture == null)
                return false;
            Texture2D picture = receiver.Picture, depth = receiver.Depth;
            Matrix4x4 headToCamera = HeadToCamera();
            float[] k = _session.K;
            Properties.SetTexture(PictureId, picture);
            Properties.SetTexture(DepthId, depth != null ? depth : picture);
            Properties.SetFloat(HasDepthId, depth != null ? 1 : 0);
            Properties.SetMatrix(CameraToViewId,
                camera.worldToCameraMatrix * transform.localToWorldMatrix * headToCamera.inverse);
            Properties.SetVector(IntrinsicsId, new Vector4(k[0], k[4], k[2], k[5]));
            // the card stands where the head's origin is
            Properties.SetVector(
                SizeId, new Vector4(picture.width, picture.height, -headToCamera.m23, 0));
            return true;
        }

        // Unity's local space to the server's camera: x right, y up, z towards the viewer
        Matrix4x4 HeadToCamera()
        {
            Vector2 orbit = driver != null ? driver.Orbit : Vector2.zero;
            Orbits.Turn(_session.Viewmat, orbit.x, orbit.y, _view);
            Axes.ViewToUnity(_view, _inUnity);
            return UnityAxes.Matrix(_inUnity);
        }
    }
}
