using Unity.Collections;
using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// A texture that frames are copied into, made anew only when their size changes.
    /// </summary>
    sealed class PictureTexture
    {
        readonly TextureFormat _format;

        internal PictureTexture(TextureFormat format) => _format = format;

        internal Texture2D Texture { get; private set; }

        internal void Show(PictureFrame frame)
        {
            int width = frame.Header.Width, height = frame.Header.Height;
            if (Texture == null || Texture.width != width || Texture.height != height)
                Make(width, height);
            NativeArray<byte> pixels = Texture.GetRawTextureData<byte>();
            int row = 4 * width;
            for (int y = 0; y < height; y++) // a texture's first row is its lowest
                NativeArray<byte>.Copy(
                    frame.Message.Bytes, WireHeader.Bytes
                        + y * row, pixels, (height - 1 - y) * row, row);
            Texture.Apply(false);
        }

        internal void Release()
        {
            if (Texture != null)
                Object.Destroy(Texture);
            Texture = null;
        }

        void Make(int width, int height)
        {
            Release();
            // linear: the shader converts, since colours are premultiplied as displayed
            Texture = new Texture2D(width, height, _format, false, true)
            {
                name = "FlexAvatar",
                wrapMode = TextureWrapMode.Clamp,
                filterMode =
                    _format == TextureFormat.RFloat ? FilterMode.Point : FilterMode.Bilinear,
                hideFlags = HideFlags.HideAndDontSave,
            };
        }
    }
}
