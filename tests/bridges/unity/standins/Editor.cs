// Stand-ins for the little of UnityEditor that the package uses, see Objects.cs.

using System;
using UnityEngine;

namespace UnityEditor
{
    public class Editor : UnityEngine.Object
    {
        public UnityEngine.Object target = null;
        public SerializedObject serializedObject = null;
        public virtual void OnInspectorGUI() { }
        public virtual bool RequiresConstantRepaint() => false;
        public bool DrawDefaultInspector() => false;
        protected static void DrawPropertiesExcluding(
            SerializedObject what, params string[] names) { }
    }

    public sealed class SerializedObject
    {
        public void Update() { }
        public SerializedProperty FindProperty(string name) => null;
        public bool ApplyModifiedProperties() => false;
    }

    public sealed class SerializedProperty
    {
        public int arraySize => 0;
        public float floatValue { get; set; }
        public SerializedProperty GetArrayElementAtIndex(int index) => this;
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class CustomEditor : Attribute
    {
        public CustomEditor(Type type) { }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class InitializeOnLoadAttribute : Attribute { }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class MenuItem : Attribute
    {
        public MenuItem(string path, bool validate, int priority) { }
    }

    public sealed class MenuCommand
    {
        public UnityEngine.Object context = null;
    }

    public enum MessageType { None, Info, Warning }

    public static class EditorGUILayout
    {
        public static void Space() { }
        public static void LabelField(string label, string text) { }
        public static string Help = "";
        public static void HelpBox(string text, MessageType type) => Help = text;
        public static void BeginHorizontal() { }
        public static void EndHorizontal() { }
        public static bool Foldout(bool open, string label) => open;
        public static float Slider(string label, float value, float low, float high) => value;
    }

    public static class EditorGUI
    {
        public sealed class DisabledScope : IDisposable
        {
            public DisabledScope(bool disabled) { }
            public void Dispose() { }
        }
    }

    public static class EditorUtility
    {
        public static string Chosen = "";
        public static string OpenFilePanel(string title, string folder, string extensions) => Chosen;
    }

    public static class EditorApplication
    {
        public static event Action quitting { add { } remove { } }
    }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();
        public static event AssemblyReloadCallback beforeAssemblyReload;
        public static void Reload() => beforeAssemblyReload?.Invoke();
    }

    public static class GameObjectUtility
    {
        public static void SetParentAndAlign(GameObject child, GameObject parent) { }
    }

    public static class Undo
    {
        public static void RegisterCreatedObjectUndo(UnityEngine.Object made, string name) { }
    }

    public static class Selection
    {
        public static UnityEngine.Object activeObject { get; set; }
    }
}
