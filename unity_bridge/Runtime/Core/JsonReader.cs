using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace FlexAvatar
{
    /// <summary>Reads JSON (RFC 8259) of bounded depth.</summary>
    sealed class JsonReader
    {
        const int Deepest = 64;
        readonly string _text;
        int _at;
        int _depth;

        internal JsonReader(string text) => _text = text;

        internal Json ReadAll()
        {
            Json value = ReadValue();
            SkipSpace();
            return _at == _text.Length ? value : throw Unexpected();
        }

        Json ReadValue()
        {
            SkipSpace();
            switch (Peek())
            {
                case '{':
                    return new Json(ReadObject());
                case '[':
                    return new Json(ReadList());
                case '"':
                    return new Json(ReadText());
                case 't':
                    return ReadWord("true", true);
                case 'f':
                    return ReadWord("false", false);
                case 'n':
                    return ReadWord("null", null);
                default:
                    return new Json(ReadNumber());
            }
        }

        Dictionary<string, Json> ReadObject()
        {
            var members = new Dictionary<string, Json>();
            Enter();
            if (!Ends('}'))
            {
                do
                {
                    SkipSpace();
                    string name = ReadText();
                    SkipSpace();
                    Expect(':');
                    members[name] = ReadValue();
                }
                while (Continues('}'));
            }
            _depth--;
            return members;
        }

        List<Json> ReadList()
        {
            var items = new List<Json>();
            Enter();
            if (!Ends(']'))
            {
                do
                    items.Add(ReadValue());
                while (Continues(']'));
            }
            _depth--;
            return items;
        }

        void Enter()
        {
            _at++;
            if (++_depth > Deepest)
                throw new JsonException("JSON: nested too deeply");
        }

        bool Ends(char end)
        {
            SkipSpace();
            if (Peek() != end)
                return false;
            _at++;
            return true;
        }

        bool Continues(char end)
        {
            if (Ends(end))
                return false;
            Expect(',');
            return true;
        }

        string ReadText()
        {
            Expect('"');
            var text = new StringBuilder();
            while (true)
            {
                char c = Next();
                if (c == '"')
                    return text.ToString();
                if (c < ' ')
                    throw Unexpected();
                text.Append(c == '\\' ? ReadEscape() : c);
            }
        }

        char ReadEscape()
        {
            char c = Next();
            switch (c)
            {
                case 'b': return '\b';
                case 'f': return '\f';
                case 'n': return '\n';
                case 'r': return '\r';
                case 't': return '\t';
                case '"': case '\\': case '/': return c;
                case 'u': return ReadUnit();
                default: throw Unexpected();
            }
        }

        char ReadUnit()
        {
            const int Digits = 4;
            if (_text.Length - _at < Digits)
                throw Unexpected();
            bool read = ushort.TryParse(
                _text.Substring(_at, Digits), NumberStyles.AllowHexSpecifier,
                    CultureInfo.InvariantCulture, out ushort unit);
            if (!read)
                throw Unexpected();
            _at += Digits;
            return (char)unit;
        }

        double ReadNumber()
        {
            int start = _at;
            while (_at < _text.Length && "+-.0123456789eE".IndexOf(_text[_at]) >= 0)
                _at++;
            bool read = TryNumber(_text.Substring(start, _at - start), out double number);
            return read ? number : throw Unexpected();
        }

        internal static bool TryNumber(string text, out double number) =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);

        Json ReadWord(string word, object value)
        {
            if (string.CompareOrdinal(_text, _at, word, 0, word.Length) != 0)
                throw Unexpected();
            _at += word.Length;
            return new Json(value);
        }

        void SkipSpace()
        {
            while (_at < _text.Length && " \t\r\n".IndexOf(_text[_at]) >= 0)
                _at++;
        }

        char Peek() => _at < _text.Length ? _text[_at] : throw Unexpected();

        char Next()
        {
            char c = Peek();
            _at++;
            return c;
        }

        void Expect(char c)
        {
            if (Next() != c)
                throw Unexpected();
        }

        JsonException Unexpected() => new JsonException($"JSON: unexpected at character {_at}");
    }
}
