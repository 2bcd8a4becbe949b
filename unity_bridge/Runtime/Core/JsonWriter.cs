using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace FlexAvatar
{
    /// <summary>
    /// Writes one object, member by member; empty values are left out, as in proto3.
    /// </summary>
    public sealed class JsonWriter
    {
        readonly StringBuilder _text = new StringBuilder("{");

        public JsonWriter Add(string name, string value)
        {
            if (string.IsNullOrEmpty(value))
                return this;
            AppendName(name);
            AppendText(value);
            return this;
        }

        public JsonWriter Add(string name, double value)
        {
            if (value != 0)
                AppendName(name).Append(value.ToString("R", CultureInfo.InvariantCulture));
            return this;
        }

        public JsonWriter Add(string name, bool value)
        {
            if (value)
                AppendName(name).Append("true");
            return this;
        }

        /// <summary>A 64-bit number, which JSON of proto3 writes as text.</summary>
        public JsonWriter Add64(string name, ulong value) =>
            value == 0 ? this : Add(name, value.ToString(CultureInfo.InvariantCulture));

        /// <summary>An object, also if it is empty.</summary>
        public JsonWriter Add(string name, JsonWriter value)
        {
            AppendName(name).Append(value.ToString());
            return this;
        }

        public JsonWriter Add(string name, IReadOnlyList<string> values) =>
            AddList(name, values, value => AppendText(value));

        public JsonWriter Add(string name, IReadOnlyList<float> values) =>
            AddList(name, values, value =>
                _text.Append(value.ToString("R", CultureInfo.InvariantCulture)));

        public JsonWriter Add(string name, IReadOnlyList<JsonWriter> values) =>
            AddList(name, values, value => _text.Append(value));

        JsonWriter AddList<T>(string name, IReadOnlyList<T> values, Action<T> append)
        {
            if (values.Count == 0)
                return this;
            AppendName(name).Append('[');
            for (int i = 0; i < values.Count; i++)
            {
                _text.Append(i > 0 ? "," : "");
                append(values[i]);
            }
            _text.Append(']');
            return this;
        }

        public override string ToString() => _text + "}";

        StringBuilder AppendName(string name)
        {
            if (_text.Length > 1)
                _text.Append(',');
            AppendText(name);
            return _text.Append(':');
        }

        void AppendText(string value)
        {
            _text.Append('"');
            foreach (char c in value)
            {
                if (c == '"' || c == '\\')
                    _text.Append('\\').Append(c);
                else if (c < ' ')
                    _text.Append("\\u").Append(((int)c).ToString("x4"));
                else
                    _text.Append(c);
            }
            _text.Append('"');
        }
    }
}
