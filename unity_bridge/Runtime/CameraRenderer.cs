using UnityEngine;
using UnityEngine.Rendering;

namespace FlexAvatar
{
    /// <summary>
    /// Draws something with a shader of this package for every camera, in any pipeline.
    /// </summary>
    public abstract class CameraRenderer : MonoBehaviour
    {
        public FlexAvatarReceiver receiver;

        Material _material;

        private protected abstract string ShaderName { get; }

        private protected MaterialPropertyBlock Properties { get; private set; }

        /// <summary>
        /// Fill <see cref="Properties"/> for a camera; false: nothing is to be drawn.
        /// </summary>
        private protected abstract bool Prepare(
            Camera camera, out int vertices, out int instances, out Bounds bounds);

        protected virtual void OnEnable()
        {
            Shader shader = Shader.Find(ShaderName);
            if (shader == null || !shader.isSupported)
            {
                Debug.LogError(
                    $"FlexAvatar: the shader {ShaderName} is missing, or this GPU cannot run it",
                    this);
                enabled = false;
                return;
            }
            _material = new Material(shader) { hideFlags = HideFlags.HideAndDontSave };
            Properties = new MaterialPropertyBlock();
            Camera.onPreCull += DrawFor; // built-in pipeline
            RenderPipelineManager.beginCameraRendering += DrawFor; // URP and HDRP
        }

        protected virtual void OnDisable()
        {
            Camera.onPreCull -= DrawFor;
            RenderPipelineManager.beginCameraRendering -= DrawFor;
            if (_material != null)
                Destroy(_material);
        }

        void Reset() => receiver = GetComponent<FlexAvatarReceiver>();

        void DrawFor(ScriptableRenderContext context, Camera camera) => DrawFor(camera);

        void DrawFor(Camera camera)
        {
            bool looks = (camera.cullingMask & 1 << gameObject.layer) != 0
                && camera.cameraType != CameraType.Preview;
            if (!looks || receiver == null
                || !Prepare(camera, out int vertices, out int instances, out Bounds bounds))
                return;
            var parameters = new RenderParams(_material)
            {
                camera = camera,
                layer = gameObject.layer,
                matProps = Properties,
                worldBounds = bounds,
                shadowCastingMode = ShadowCastingMode.Off,
            };
            Graphics.RenderPrimitives(parameters, MeshTopology.Triangles, vertices, instances);
        }
    }
}
