namespace FlexAvatar
{
    /// <summary>
    /// Newest wins, between one writing and one reading thread, over three objects that are used
    /// again and again: the writer fills one, the reader looks at another, the third waits.
    /// </summary>
    public sealed class Mailbox<T> where T : class, new()
    {
        readonly object _gate = new object();
        T _writing = new T(), _waiting = new T(), _reading = new T();
        bool _fresh;

        /// <summary>The writer's object, its own until <see cref="Publish"/>.</summary>
        public T Writing => _writing;

        /// <summary>
        /// Hand the writer's object over. True: one that nobody has read is gone.
        /// </summary>
        public bool Publish()
        {
            lock (_gate)
            {
                (_writing, _waiting) = (_waiting, _writing);
                bool replaced = _fresh;
                _fresh = true;
                return replaced;
            }
        }

        /// <summary>
        /// The newest object, valid until the next call; null if there is nothing new.
        /// </summary>
        public T TryTake()
        {
            lock (_gate)
            {
                if (!_fresh)
                    return null;
                (_reading, _waiting) = (_waiting, _reading);
                _fresh = false;
                return _reading;
            }
        }
    }
}
