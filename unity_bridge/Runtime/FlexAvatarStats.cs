using System.Text;
using UnityEngine;

namespace FlexAvatar
{
    /// <summary>Figures of a receiver's stream in a corner of the screen.</summary>
    [AddComponentMenu("FlexAvatar/Statistics")]
    public sealed class FlexAvatarStats : MonoBehaviour
    {
        const float Seconds = 0.5f;
        const int Margin = 10, Width = 340, Height = 90;

        public FlexAvatarReceiver receiver;

        readonly StringBuilder _text = new StringBuilder(256);
        string _shown = "";
        float _next;

        void Reset() => receiver = GetComponent<FlexAvatarReceiver>();

        void Update()
        {
            if (receiver == null || Time.unscaledTime < _next)
                return;
            _next = Time.unscaledTime + Seconds;
            _shown = Describe();
        }

        void OnGUI() => GUI.Label(new Rect(Margin, Margin, Width, Height), _shown);

        string Describe()
        {
            _text.Clear();
            _text.Append(receiver.avatar).Append(": ").Append(receiver.State.ToString())
                .Append('\n');
            AvatarLink link = receiver.Link;
            if (link == null)
                return _text.ToString();
            StreamFigures f = link.Figures;
            _text.AppendFormat(
                "{0:0} fps, {1:0} ms from signal to frame, {2:0.0} MB/s\n", f.Fps, f.LatencyMs,
                f.BytesPerSecond / 1e6f);
            _text.AppendFormat(
                "{0} frames, {1} lost, {2} refused, {3} reconnects\n", f.Frames, f.Gaps, f.Refused,
                f.Reconnects);
            return _text.Append(link.LastError).ToString();
        }
    }
}
