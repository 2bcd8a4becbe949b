using UnityEngine;

namespace FlexAvatar.Samples
{
    /// <summary>
    /// A head in an empty scene, from one component: it blinks, speaks without sound and looks
    /// about. Put it on an empty object and press Play.
    /// </summary>
    public sealed class FirstHead : MonoBehaviour
    {
        public string address = "http://127.0.0.1:50052";
        public string avatar = "me";
        public ReceiverMode mode = ReceiverMode.Splats;

        FlexAvatarDriver _driver;

        void Start()
        {
            gameObject.SetActive(false); // so that nothing connects before it is set up
            var receiver = gameObject.AddComponent<FlexAvatarReceiver>();
            (receiver.address, receiver.avatar, receiver.mode) = (address, avatar, mode);
            _driver = gameObject.AddComponent<FlexAvatarDriver>();
            _driver.receiver = receiver;
            gameObject.AddComponent<FlexAvatarStats>().receiver = receiver;
            CameraRenderer view = mode == ReceiverMode.Splats
                ? gameObject.AddComponent<FlexAvatarSplats>()
                : (CameraRenderer)gameObject.AddComponent<FlexAvatarPicture>();
            view.receiver = receiver;
            gameObject.SetActive(true);
            Frame(Camera.main);
        }

        void Update()
        {
            float time = Time.time;
            _driver.SetBlendShape(
                "jawOpen", 0.2f + 0.2f * Mathf.Sin(9 * time) * Mathf.Sin(2 * time));
            _driver.SetBlendShape("mouthSmileLeft", 0.5f + 0.5f * Mathf.Sin(time));
            _driver.SetBlendShape("mouthSmileRight", 0.5f + 0.5f * Mathf.Sin(time));
            float blink = Mathf.Repeat(time, 3) < 0.15f ? 1 : 0;
            _driver.SetBlendShape("eyeBlinkLeft", blink);
            _driver.SetBlendShape("eyeBlinkRight", blink);
            _driver.neck = new Vector3(0, 12 * Mathf.Sin(0.7f * time), 0);
        }

        // the face looks along -z
        void Frame(Camera camera)
        {
            if (camera == null)
                return;
            camera.transform.position = transform.TransformPoint(new Vector3(0, 0, -0.8f));
            camera.transform.LookAt(transform.position);
            camera.nearClipPlane = 0.05f;
        }
    }
}
