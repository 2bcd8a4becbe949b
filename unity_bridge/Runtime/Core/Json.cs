using System;
using System.Collections.Generic;

namespace FlexAvatar
{
    /// <summary>Text is not JSON, or not of the expected form.</summary>
    public sealed class JsonException : Exception
    {
        public JsonException(string message) : base(message) { }
    }

    /// <summary>
    /// A value of JSON as the server's answers have them: object, list, text, number, bool or null.
    /// A member that is missing reads as empty, as in proto3.
    /// </summary>
    public sealed class Json
    {
        static readonly Json Nothing = new Json(null);
        readonly object _value;

        internal Json(object value) => _value = value;

        /// <summary>Read a whole text. Throws JsonException.</summary>
        public static Json Parse(string text) => new JsonReader(text).ReadAll();

        /// <summary>A member of an object.</summary>
        public Json this[string name] =>
            _value is Dictionary<string, Json> members && members.TryGetValue(name, out Json found)
                ? found : Nothing;

        /// <summary>The elements of a list; none of anything else.</summary>
        public IReadOnlyList<Json> Items =>
            _value as List<Json> ?? (IReadOnlyList<Json>)Array.Empty<Json>();

        /// <summary>The members of an object.</summary>
        public IEnumerable<KeyValuePair<string, Json>> Members =>
            _value as Dictionary<string, Json> ?? new Dictionary<string, Json>();

        public bool IsNothing => _value == null;
        public string Text => _value as string ?? "";

        /// <summary>
        /// A number, also one that is written as text, as JSON of proto3 does with 64 bits.
        /// </summary>
        public double Number => _value switch
        {
            double number => number,
            string text => JsonReader.TryNumber(text, out double number) ? number : 0,
            _ => 0,
        };

        public int Int => (int)Math.Max(int.MinValue, Math.Min(int.MaxValue, Number));

        /// <summary>Base64, as JSON of proto3 has bytes. Throws JsonException.</summary>
        public byte[] Base64
        {
            get
            {
                try
                {
                    return Convert.FromBase64String(Text);
                }
                catch (FormatException)
                {
                    throw new JsonException("expected base64");
                }
            }
        }
    }
}
