// Stand-ins for UnityEngine's drawing, see Objects.cs: what is drawn is only counted.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Unity.Collections;
using UnityEngine.Rendering;

namespace UnityEngine
{
    public enum TextureFormat { RGBA32, RFloat }
    public enum TextureWrapMode { Repeat, Clamp }
    public enum FilterMode { Point, Bilinear }
    public enum MeshTopology { Triangles }
    [Flags] public enum CameraType { Game = 1, SceneView = 2, Preview = 4 }

    public class Texture : Object
    {
        public int width { get; protected set; }
        public int height { get; protected set; }
        public TextureWrapMode wrapMode;
        public FilterMode filterMode;
    }

    public sealed class Texture2D : Texture
    {
        readonly byte[] _pixels;
        public int Applied;

        public Texture2D(int width, int height, TextureFormat format, bool mipChain, bool linear)
        {
            (this.width, this.height) = (width, height);
            _pixels = new byte[4 * width * height];
        }

        public NativeArray<T> GetRawTextureData<T>() where T : struct =>
            new NativeArray<T>((T[])(object)_pixels);
        public void Apply(bool updateMipmaps) => Applied++;
    }

    public sealed class Shader : Object
    {
        public static readonly List<string> Names = new List<string>();
        public bool isSupported => true;
        public static Shader Find(string name) => new Shader { name = name };

        public static int PropertyToID(string name)
        {
            Names.Add(name);
            return Names.Count - 1;
        }
    }

    public sealed class Material : Object
    {
        public Material(Shader shader) => name = shader.name;
    }

    public sealed class MaterialPropertyBlock
    {
        public readonly Dictionary<int, Matrix4x4> Matrices = new Dictionary<int, Matrix4x4>();
        public void SetTexture(int id, Texture value) { }
        public void SetBuffer(int id, GraphicsBuffer value) { }
        public void SetFloat(int id, float value) { }
        public void SetVector(int id, Vector4 value) { }
        public void SetMatrix(int id, Matrix4x4 value) => Matrices[id] = value;
    }

    public sealed class GraphicsBuffer : IDisposable
    {
        [Flags] public enum Target { Structured = 16 }
        public readonly int count;
        readonly int _stride;

        public GraphicsBuffer(Target target, int count, int stride) =>
            (this.count, _stride) = (count, stride);

        public void SetData<T>(T[] data, int start, int to, int length) where T : struct
        {
            if (Marshal.SizeOf<T>() != _stride || start + length > data.Length || to
                + length > count)
                throw new ArgumentException("SetData: beyond the buffer");
        }

        public void Dispose() { }
    }

    public struct RenderParams
    {
        public Material material;
        public Camera camera;
        public int layer;
        public MaterialPropertyBlock matProps;
        public Bounds worldBounds;
        public ShadowCastingMode shadowCastingMode;
        public RenderParams(Material material) : this() => this.material = material;
    }

    public static class Graphics
    {
        public static int Draws, LastInstances;
        public static MaterialPropertyBlock LastProperties;

        public static void RenderPrimitives(
            in RenderParams rparams, MeshTopology topology, int vertices, int instances) =>
            (Draws, LastInstances, LastProperties) = (Draws + 1, instances, rparams.matProps);
    }

    public sealed class Camera : Behaviour
    {
        public delegate void CameraCallback(Camera camera);
        public static CameraCallback onPreCull;
        public static Camera main => null;
        public int cullingMask = -1;
        public CameraType cameraType = CameraType.Game;
        public int pixelWidth = 512, pixelHeight = 512;
        public float nearClipPlane;
        public Matrix4x4 worldToCameraMatrix = Matrix4x4.Scale(new Vector3(1, 1, -1));
    }
}

namespace UnityEngine.Rendering
{
    public enum ShadowCastingMode { Off, On }
    public struct ScriptableRenderContext { }

    public static class RenderPipelineManager
    {
        public static event Action<ScriptableRenderContext, Camera> beginCameraRendering
        {
            add { }
            remove { }
        }
    }
}

namespace Unity.Collections
{
    public enum Allocator { Temp = 2 }

    public readonly struct NativeArray<T> : IDisposable where T : struct
    {
        readonly T[] _items;
        public NativeArray(T[] items) => _items = items;
        public int Length => _items.Length;
        public T this[int index] => _items[index];
        public static void Copy(T[] source, int start, NativeArray<T> to, int at, int length) =>
            Array.Copy(source, start, to._items, at, length);
        public void Dispose() { }
    }
}
