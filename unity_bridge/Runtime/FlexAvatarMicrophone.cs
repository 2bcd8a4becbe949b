using UnityEngine;

namespace FlexAvatar
{
    /// <summary>
    /// Lets a microphone move the mouth. The receiver needs "audio" among its sources, below
    /// "drive" if this program drives the rest of the face.
    /// </summary>
    [AddComponentMenu("FlexAvatar/Microphone")]
    public sealed class FlexAvatarMicrophone : MonoBehaviour
    {
        const int Rate = 16000;
        const int BufferSeconds = 2;

        public FlexAvatarReceiver receiver;
        [Tooltip("Empty: the system's default")]
        public string device = "";

        readonly float[] _samples = new float[Rate / 50];
        ServiceClient _service;
        VoiceSender _voice;
        SessionInfo _session;
        AudioClip _clip;
        int _read;

        string Device => device == "" ? null : device;

        /// <summary>Why the sound does not arrive; empty while the server takes it.</summary>
        public string LastError => _voice?.LastError ?? "";

        void Reset() => receiver = GetComponent<FlexAvatarReceiver>();

        void OnEnable()
        {
            _clip = Microphone.Start(Device, true, BufferSeconds, Rate);
            if (_clip == null)
                Debug.LogError("FlexAvatar: there is no microphone, or it may not be used", this);
            _read = 0;
        }

        void OnDisable()
        {
            Microphone.End(Device);
            StopVoice();
        }

        void Update()
        {
            if (_clip == null || receiver == null)
                return;
            SessionInfo session = receiver.Link?.Session;
            if (session != _session)
                FollowSession(session);
            int available =
                (Microphone.GetPosition(Device) - _read + _clip.samples) % _clip.samples;
            for (; available >= _samples.Length; available -= _samples.Length)
            {
                _clip.GetData(_samples, _read);
                _read = (_read + _samples.Length) % _clip.samples;
                _voice?.Push(_samples);
            }
        }

        // a session that was made anew hears the voice from its beginning
        void FollowSession(SessionInfo session)
        {
            StopVoice();
            _session = session;
            if (session == null)
                return;
            _service = new ServiceClient(receiver.address, receiver.token);
            _voice = new VoiceSender(_service, session, Rate);
        }

        void StopVoice()
        {
            _voice?.Dispose();
            _service?.Dispose();
            (_voice, _service, _session) = (null, null, null);
        }
    }
}
