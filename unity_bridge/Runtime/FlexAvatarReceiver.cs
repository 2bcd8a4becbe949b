using System;
using UnityEngine;
using UnityEngine.Events;

namespace FlexAvatar
{
    /// <summary>
    /// What the server sends: finished pictures, or Gaussians that are drawn here.
    /// </summary>
    public enum ReceiverMode
    {
        Picture,
        Splats,
    }

    /// <summary>
    /// Keeps an avatar of a server on screen: <see cref="Picture"/> with <see cref="Depth"/>, or
    /// <see cref="Splats"/>. Never blocks; reconnects by itself.
    /// </summary>
    [AddComponentMenu("FlexAvatar/Receiver")]
    [DefaultExecutionOrder(-100)]
    public sealed class FlexAvatarReceiver : MonoBehaviour
    {
        [Tooltip("URL of the server's HTTP: flexavatar serve --http-port")]
        public string address = "http://127.0.0.1:50052";
        [Tooltip("Only if the server asks for one")]
        public string token = "";
        [Tooltip("Name of an avatar of the server")]
        public string avatar = "me";
        [Tooltip("A second avatar, which the driver's morph turns the first one into")]
        public string morphTo = "";
        public ReceiverMode mode = ReceiverMode.Picture;
        [Range(16, 4096)] public int width = 512;
        [Range(16, 4096)] public int height = 512;
        [Tooltip("Pictures only: also receive depth, so that things can be before and behind it")]
        public bool depth;
        [Tooltip("0: as fast as it is driven, up to 120")]
        [Range(0, 120)] public float maxFps;
        [Tooltip("What drives the face: 'drive' is this program, 'live-link-face' a phone")]
        public string[] sources = Array.Empty<string>();
        public UnityEvent onStreaming = new UnityEvent();
        [Tooltip("The server or the network is away; it is tried again by itself")]
        public UnityEvent onLost = new UnityEvent();

        readonly PictureTexture _picture = new PictureTexture(TextureFormat.RGBA32);
        readonly PictureTexture _depth = new PictureTexture(TextureFormat.RFloat);
        AvatarLink _link;
        LinkState _state = LinkState.Stopped;

        /// <summary>A new picture is in <see cref="Picture"/>.</summary>
        public event Action PictureChanged;
        /// <summary>New Gaussians are in <see cref="Splats"/>.</summary>
        public event Action SplatsChanged;

        /// <summary>Premultiplied, as displayed (gamma); null before the first.</summary>
        public Texture2D Picture => _picture.Texture;
        /// <summary>Metres along the camera's axis, 0 where nothing is; null without.</summary>
        public Texture2D Depth => _depth.Texture;
        /// <summary>
        /// The newest Gaussians, valid until the next SplatsChanged; null before the first.
        /// </summary>
        public SplatFrame Splats { get; private set; }
        /// <summary>Counts what was in <see cref="Splats"/>.</summary>
        public int SplatsVersion { get; private set; }
        /// <summary>The connection; null while disabled.</summary>
        public AvatarLink Link => _link;
        public LinkState State => _link == null ? LinkState.Stopped : _link.State;

        /// <summary>Connect, or connect anew with changed settings.</summary>
        public void Connect()
        {
            Disconnect();
            try
            {
                _link = LiveLinks.Open(address, token, Request());
            }
            catch (ServiceException error)
            {
                Debug.LogError($"FlexAvatar: {error.Message}", this);
            }
        }

        /// <summary>End the session. The last picture stays.</summary>
        public void Disconnect()
        {
            if (_link == null)
                return;
            LiveLinks.Close(_link);
            _link = null;
            Splats = null;
            SetState(LinkState.Stopped);
        }

        void OnEnable() => Connect();

        void OnDisable() => Disconnect();

        void OnDestroy()
        {
            _picture.Release();
            _depth.Release();
        }

        void Update()
        {
            if (_link == null)
                return;
            TakeDepth();
            TakePicture();
            TakeSplats();
            SetState(_link.State);
        }

        void TakePicture()
        {
            PictureFrame frame = _link.Frames.Picture.TryTake();
            if (frame == null || frame.Header.Kind != MessageKind.Rgba8)
                return;
            _picture.Show(frame);
            PictureChanged?.Invoke();
        }

        void TakeDepth()
        {
            PictureFrame frame = _link.Frames.Depth.TryTake();
            if (frame != null)
                _depth.Show(frame);
        }

        void TakeSplats()
        {
            SplatFrame frame = _link.Frames.Splats.TryTake();
            if (frame == null)
                return;
            Splats = frame;
            SplatsVersion++;
            SplatsChanged?.Invoke();
        }

        void SetState(LinkState state)
        {
            bool streamed = _state == LinkState.Streaming, streams = state == LinkState.Streaming;
            _state = state;
            if (streams && !streamed)
                onStreaming.Invoke();
            else if (streamed && !streams)
                onLost.Invoke();
        }

        SessionRequest Request() => new SessionRequest
        {
            Avatar = avatar,
            MorphTo = morphTo,
            Width = width,
            Height = height,
            Kinds = mode == ReceiverMode.Splats ? StreamKinds.Splats
                : depth ? StreamKinds.Rgba8 | StreamKinds.Depth : StreamKinds.Rgba8,
            MaxFps = maxFps,
            Sources = sources,
        };
    }
}
