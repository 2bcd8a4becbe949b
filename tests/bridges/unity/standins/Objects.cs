// Stand-ins for the little of UnityEngine that the package uses, written from its public scripting
// reference: enough to compile against, and to run the components in a process of tests.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace UnityEngine
{
    public class Object
    {
        public string name = "";
        public HideFlags hideFlags;
        public bool destroyed;

        public static void Destroy(Object what) => what.destroyed = true;

        // what is destroyed is null to scripts
        public static bool operator ==(Object a, Object b) => ReferenceEquals(Living(a), Living(b));
        public static bool operator !=(Object a, Object b) => !(a == b);
        public override bool Equals(object other) => ReferenceEquals(this, other);
        public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

        static Object Living(Object what) => what is null || what.destroyed ? null : what;
    }

    [Flags] public enum HideFlags { None = 0, HideAndDontSave = 61 }

    public class Component : Object
    {
        public GameObject gameObject;
        public Transform transform => gameObject.transform;
        public T GetComponent<T>() where T : class => gameObject.Get<T>();
    }

    public class Behaviour : Component
    {
        public bool enabled = true;
    }

    public class MonoBehaviour : Behaviour
    {
        /// <summary>What the engine does: call a message if the component has it.</summary>
        public void SendMessage(string message) => Message(message)?.Invoke();

        public Action Message(string message)
        {
            const BindingFlags Any =
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
            for (Type type = GetType(); type != typeof(MonoBehaviour); type = type.BaseType)
                if (type.GetMethod(message, Any | BindingFlags.DeclaredOnly) is MethodInfo method)
                    return (Action)method.CreateDelegate(typeof(Action), this);
            return null;
        }
    }

    public sealed class GameObject : Object
    {
        readonly List<Component> _components = new List<Component>();
        public int layer;
        public readonly Transform transform;
        public bool activeSelf = true;

        public GameObject(string name = "")
        {
            this.name = name;
            transform = new Transform { gameObject = this };
        }

        public T AddComponent<T>() where T : Component
        {
            var component = Activator.CreateInstance<T>();
            component.gameObject = this;
            _components.Add(component);
            return component;
        }

        public void SetActive(bool active) => activeSelf = active;

        internal T Get<T>() where T : class
        {
            foreach (Component component in _components)
                if (component is T found)
                    return found;
            return null;
        }
    }

    public sealed class Transform : Component
    {
        public Matrix4x4 localToWorldMatrix = Matrix4x4.Scale(new Vector3(1, 1, 1));
        public Vector3 position;
        public Vector3 lossyScale => new Vector3(1, 1, 1);
        public Vector3 TransformPoint(Vector3 point) => localToWorldMatrix.MultiplyPoint(point);
        public Vector3 InverseTransformPoint(Vector3 point) =>
            localToWorldMatrix.inverse.MultiplyPoint(point);
        public void LookAt(Vector3 point) { }
    }

    public static class Time
    {
        static readonly Stopwatch Watch = Stopwatch.StartNew();
        public static float time => (float)Watch.Elapsed.TotalSeconds;
        public static float unscaledTime => time;
    }

    public static class Debug
    {
        public static readonly List<string> Errors = new List<string>();
        public static readonly List<string> Logs = new List<string>();
        public static void Log(object message) => Logs.Add(message.ToString());
        public static void LogWarning(object message) => Logs.Add(message.ToString());
        public static void LogError(object message, Object context) =>
            Errors.Add(message.ToString());
        public static void LogException(Exception error, Object context = null) =>
            Errors.Add(error.ToString());
    }

    public static class Application
    {
        public static bool isPlaying => true;
        public static event Action quitting;
        public static void Quit() => quitting?.Invoke();
    }

    public static class Microphone
    {
        public static int Position;
        public static AudioClip Start(string device, bool loop, int seconds, int rate) =>
            new AudioClip(seconds * rate);
        public static int GetPosition(string device) => Position % (2 * 16000);
        public static void End(string device) { }
    }

    /// <summary>A loud tone, a fifth of a second on and off.</summary>
    public sealed class AudioClip : Object
    {
        public int samples { get; }
        public AudioClip(int samples) => this.samples = samples;

        public bool GetData(float[] data, int start)
        {
            for (int i = 0; i < data.Length; i++)
                data[i] = (start + i) / 3200 % 2 == 0 ? 0.8f * Mathf.Sin((start + i) * 0.08f) : 0;
            return true;
        }
    }

    public static class GUI
    {
        public static void Label(Rect position, string text) { }
    }

    public static class GUILayout
    {
        public static string Pressed = ""; // the start of its text
        public static bool Button(string text) => Pressed != "" && text.StartsWith(Pressed);
    }

    public readonly struct Rect
    {
        public Rect(float x, float y, float width, float height) { }
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class TooltipAttribute : Attribute
    {
        public TooltipAttribute(string text) { }
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class RangeAttribute : Attribute
    {
        public RangeAttribute(float min, float max) { }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class AddComponentMenu : Attribute
    {
        public AddComponentMenu(string menuName) { }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class DefaultExecutionOrder : Attribute
    {
        public DefaultExecutionOrder(int order) { }
    }
}

namespace UnityEngine.Events
{
    public sealed class UnityEvent
    {
        event Action Calls;
        public void AddListener(Action call) => Calls += call;
        public void Invoke() => Calls?.Invoke();
    }
}
