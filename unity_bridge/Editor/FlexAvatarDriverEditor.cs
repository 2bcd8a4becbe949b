using UnityEditor;

namespace FlexAvatar.Editor
{
    /// <summary>The driver's Inspector: a slider a blend shape, by its name.</summary>
    [CustomEditor(typeof(FlexAvatarDriver))]
    public sealed class FlexAvatarDriverEditor : UnityEditor.Editor
    {
        bool _open = true;

        public override void OnInspectorGUI()
        {
            serializedObject.Update();
            DrawPropertiesExcluding(serializedObject, "m_Script", "weights");
            SerializedProperty weights = serializedObject.FindProperty("weights");
            _open = EditorGUILayout.Foldout(_open, "Weights");
            for (int i = 0; _open && i < weights.arraySize && i < ArkitNames.Count; i++)
            {
                SerializedProperty weight = weights.GetArrayElementAtIndex(i);
                weight.floatValue =
                    EditorGUILayout.Slider(ArkitNames.All[i], weight.floatValue, 0, 1);
            }
            serializedObject.ApplyModifiedProperties();
        }
    }
}
