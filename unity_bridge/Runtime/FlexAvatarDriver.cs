using System;
using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// Drives the avatar of a receiver: weights from the Inspector, from scripts or an animation.
    /// Sends once a frame, if something changed.
    /// </summary>
    [AddComponentMenu("FlexAvatar/Driver")]
    [DefaultExecutionOrder(100)]
    public sealed class FlexAvatarDriver : MonoBehaviour
    {
        const float KeepAliveSeconds = 1; // sessions that nobody drives end by themselves

        public FlexAvatarReceiver receiver;
        [Tooltip("The 52 weights in ARKit's order, 0 to 1")]
        public float[] weights = new float[ArkitNames.Count];
        [Tooltip("Turn of the head on its neck, degrees, in the axes of the head's object")]
        public Vector3 neck;
        [Range(0, 1)] public float morph;
        [Tooltip("Pictures only: the server looks at the head from where this camera is")]
        public Camera viewpoint;

        readonly DriveSignal _signal = new DriveSignal();
        readonly DriveSignal _sent = new DriveSignal();
        float _nextSend;

        /// <summary>How far the server's camera was turned around the head last.</summary>
        public Vector2 Orbit => new Vector2(_sent.OrbitYawDeg, _sent.OrbitPitchDeg);

        /// <summary>
        /// Set one weight by ARKit's name, "jawOpen". Throws ArgumentException for another.
        /// </summary>
        public void SetBlendShape(string name, float weight)
        {
            int index = ArkitNames.IndexOf(name);
            if (index < 0)
                throw new ArgumentException($"not an ARKit name: {name}");
            weights[index] = weight;
        }

        /// <summary>Set all weights, in the order of <see cref="ArkitNames.All"/>.</summary>
        public void SetWeights(float[] all) => Array.Copy(all, weights, ArkitNames.Count);

        /// <summary>All weights 0, the head straight.</summary>
        public void Relax()
        {
            Array.Clear(weights, 0, weights.Length);
            neck = Vector3.zero;
        }

        void Reset() => receiver = GetComponent<FlexAvatarReceiver>();

        void OnValidate()
        {
            if (weights == null || weights.Length != ArkitNames.Count)
                Array.Resize(ref weights, ArkitNames.Count);
        }

        void LateUpdate()
        {
            if (receiver == null || receiver.Link == null)
                return;
            FillSignal(_signal);
            bool same = IsSame(_signal, _sent);
            if (same && Time.unscaledTime < _nextSend)
                return;
            _sent.CopyFrom(_signal);
            _signal.PtsNs = (ulong)Clock.NowNs;
            receiver.Link.Drive(_signal);
            _nextSend = Time.unscaledTime + KeepAliveSeconds;
        }

        void FillSignal(DriveSignal signal)
        {
            signal.Parts = DriveParts.Arkit | DriveParts.Head;
            for (int i = 0; i < signal.Weights.Length; i++)
                signal.Weights[i] = Mathf.Clamp01(weights[i]);
            signal.NeckPose = UnityAxes.AxisAngle(Quaternion.Euler(neck));
            if (receiver.morphTo != "")
            {
                signal.Parts |= DriveParts.Morph;
                signal.Morph = Mathf.Clamp01(morph);
            }
            SessionInfo session = receiver.Link.Session;
            if (viewpoint != null && receiver.mode == ReceiverMode.Picture && session != null)
                OrbitTo(receiver.transform.InverseTransformPoint(viewpoint.transform.position),
                    session, signal);
        }

        static void OrbitTo(Vector3 place, SessionInfo session, DriveSignal signal)
        {
            Orbits.Towards(
                session.Viewmat, UnityAxes.FromUnity(place), out signal.OrbitYawDeg,
                out signal.OrbitPitchDeg);
            signal.Parts |= DriveParts.Orbit;
        }

        static bool IsSame(DriveSignal a, DriveSignal b)
        {
            bool same = a.Parts == b.Parts && a.Morph == b.Morph && a.NeckPose.Equals(b.NeckPose)
                && a.OrbitYawDeg == b.OrbitYawDeg && a.OrbitPitchDeg == b.OrbitPitchDeg;
            for (int i = 0; same && i < a.Weights.Length; i++)
                same = a.Weights[i] == b.Weights[i];
            return same;
        }
    }
}
