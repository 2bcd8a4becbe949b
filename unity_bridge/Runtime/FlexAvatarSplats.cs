using System;
using System.Collections.Generic;
using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// Draws a receiver's Gaussians at this transform: sorted for every camera, behind and before
    /// what is opaque. The face looks along -z.
    /// </summary>
    [AddComponentMenu("FlexAvatar/Splats")]
    public sealed class FlexAvatarSplats : CameraRenderer
    {
        const int VerticesPerSplat = 6;
        static readonly int SplatsId = Shader.PropertyToID("_FlexSplats");
        static readonly int OrderId = Shader.PropertyToID("_FlexOrder");
        static readonly int ModelViewId = Shader.PropertyToID("_FlexModelView");
        static readonly int ScalesId = Shader.PropertyToID("_FlexScales");
        static readonly int ScreenId = Shader.PropertyToID("_FlexScreen");

        readonly SplatUpload _upload = new SplatUpload();
        readonly Dictionary<Camera, CameraOrder> _orders = new Dictionary<Camera, CameraOrder>();
        readonly HashSet<string> _shownErrors = new HashSet<string>();
        GraphicsBuffer _buffer;
        SplatFrame _shown;
        int _version;

        private protected override string ShaderName => "FlexAvatar/Splats";

        private protected override bool Prepare(
            Camera camera, out int vertices, out int instances, out Bounds bounds)
        {
            (vertices, instances, bounds) = (VerticesPerSplat, 0, default);
            SplatFrame frame = receiver.Splats;
            if (frame == null)
                return false;
            Upload(frame);
            Matrix4x4 modelView =
                camera.worldToCameraMatrix * transform.localToWorldMatrix * UnityAxes.HeadToUnity;
            CameraOrder order = OrderOf(camera);
            GraphicsBuffer sorted = order.Newest(frame, _version, modelView);
            Show(order.TakeError());
            if (sorted == null)
                return false;
            Properties.SetBuffer(SplatsId, _buffer);
            Properties.SetBuffer(OrderId, sorted);
            Properties.SetMatrix(ModelViewId, modelView);
            Properties.SetVector(
                ScalesId, new Vector4(frame.Header.ScaleMin, frame.Header.ScaleMax, 0, 0));
            Properties.SetVector(
                ScreenId, new Vector4(camera.pixelWidth, camera.pixelHeight, 0, 0));
            instances = frame.Count;
            bounds = WorldBounds(frame.Header);
            return true;
        }

        protected override void OnDisable()
        {
            base.OnDisable();
            foreach (CameraOrder order in _orders.Values)
                order.Dispose();
            _orders.Clear();
            _buffer?.Dispose();
            _buffer = null;
            _shown = null;
        }

        // once a frame of the stream: only the chunks that changed
        void Upload(SplatFrame frame)
        {
            if (_shown == frame && _version == receiver.SplatsVersion)
                return;
            (_shown, _version) = (frame, receiver.SplatsVersion);
            if (_buffer == null || _buffer.count != frame.Count)
            {
                _buffer?.Dispose();
                _buffer = new GraphicsBuffer(
                    GraphicsBuffer.Target.Structured, frame.Count, PackedSplat.Bytes);
                _upload.Forget();
            }
            _upload.Begin(frame);
            while (_upload.Next(out int start, out int count))
                _buffer.SetData(frame.Splats, start, start, count);
        }

        // once each: a sort that fails is tried again every frame
        void Show(Exception error)
        {
            if (error == null || !_shownErrors.Add(error.ToString()))
                return;
            Debug.LogException(error, this);
        }

        CameraOrder OrderOf(Camera camera)
        {
            if (_orders.TryGetValue(camera, out CameraOrder order))
                return order;
            var gone = new List<Camera>();
            foreach (Camera known in _orders.Keys)
                if (known == null) // destroyed
                    gone.Add(known);
            foreach (Camera known in gone)
            {
                _orders[known].Dispose();
                _orders.Remove(known);
            }
            _orders.Add(camera, order = new CameraOrder(new SplatSortWorker()));
            return order;
        }

        Bounds WorldBounds(in WireHeader header)
        {
            Vector3 low =
                UnityAxes.ToUnity(header.BoundsMin), high = UnityAxes.ToUnity(header.BoundsMax);
            var bounds = new Bounds(transform.TransformPoint(low), Vector3.zero);
            for (int corner = 1; corner < 8; corner++)
                bounds.Encapsulate(transform.TransformPoint(new Vector3(
                    (corner & 1) == 0 ? low.x : high.x, (corner & 2) == 0 ? low.y
                        : high.y, (corner & 4) == 0 ? low.z : high.z)));
            return bounds;
        }

        /// <summary>
        /// The order of the splats as one camera needs it, sorted again when it or they moved.
        /// </summary>
        sealed class CameraOrder
        {
            const float SmallestTurn = 1e-4f;
            readonly SplatSortWorker _worker;
            GraphicsBuffer _order;
            Vector3 _forward;
            int _version = -1;

            internal CameraOrder(SplatSortWorker worker) => _worker = worker;

            /// <summary>
            /// The newest finished order of so many splats; null before the first, for a frame or
            /// two when an avatar appears. Starts the next sort and waits for none.
            /// </summary>
            internal GraphicsBuffer Newest(SplatFrame frame, int version, in Matrix4x4 modelView)
            {
                // a view's z points to the viewer
                Vector3 forward =
                    new Vector3(-modelView.m20, -modelView.m21, -modelView.m22).normalized;
                Take();
                bool turned = (forward - _forward).sqrMagnitude > SmallestTurn * SmallestTurn;
                if ((version != _version || turned) && Begin(frame, forward))
                    (_forward, _version) = (forward, version);
                return _order != null && _order.count == frame.Count ? _order : null;
            }

            /// <summary>
            /// What the last sort failed with, null if it did not; it is begun anew with the next
            /// frame.
            /// </summary>
            internal Exception TakeError()
            {
                Exception error = _worker.TakeError();
                if (error != null)
                    _version = -1;
                return error;
            }

            internal void Dispose()
            {
                _worker.Dispose();
                _order?.Dispose();
            }

            bool Begin(SplatFrame frame, Vector3 forward) =>
                _worker.TryBegin(
                    frame.Splats, frame.Count, new Float3(forward.x, forward.y, forward.z));

            void Take()
            {
                if (!_worker.TryTake(out int count))
                    return;
                if (_order == null || _order.count != count)
                {
                    _order?.Dispose();
                    _order = new GraphicsBuffer(
                        GraphicsBuffer.Target.Structured, count, sizeof(uint));
                }
                _order.SetData(_worker.Order, 0, 0, count);
            }
        }
    }
}
