using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace FlexAvatar
{
    /// <summary>
    /// The server's calls over HTTP/1.1 with JSON (Connect's protocol). Every call throws
    /// ServiceException, or OperationCanceledException if it is cancelled. From any thread.
    /// </summary>
    public sealed class ServiceClient : IDisposable
    {
        const double CallSeconds = 30, CreateSeconds = 900;
        readonly HttpClient _http = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        readonly Uri _base;
        volatile bool _disposed;

        /// <summary>
        /// `address` is the server's URL, e.g. http://127.0.0.1:50052; `token` only if it asks for
        /// one.
        /// </summary>
        public ServiceClient(string address, string token = "")
        {
            bool valid = Uri.TryCreate(address, UriKind.Absolute, out Uri found)
                && (found.Scheme == "http" || found.Scheme == "https");
            if (!valid)
                throw new ServiceException(
                    "invalid_argument", $"expected http://host:port, got \"{address}\"");
            _base = new Uri(found, "/flexavatar.v1.FlexAvatar/");
            if (!string.IsNullOrEmpty(token))
                _http.DefaultRequestHeaders.Authorization =
                    new AuthenticationHeaderValue("Bearer", token);
        }

        public Task<ServerInfo> GetServerInfo(CancellationToken cancel = default) =>
            Call("GetServerInfo", "{}", CallSeconds, json => new ServerInfo(json), cancel);

        /// <summary>
        /// Make an avatar of 1 to 16 files of one person, photos or videos. Takes up to a minute or
        /// so.
        /// </summary>
        public Task<AvatarInfo> CreateAvatar(
            string name, IReadOnlyList<byte[]> photos, bool quick = false, bool replace = false,
            CancellationToken cancel = default)
        {
            var header = new JsonWriter()
                .Add("name", name).Add("quality", quick ? "QUALITY_QUICK" : "QUALITY_FULL")
                    .Add("replace", replace);
            var files = new string[photos.Count];
            for (int i = 0; i < files.Length; i++)
                files[i] = Convert.ToBase64String(photos[i]);
            string body = new JsonWriter().Add("header", header).Add("photos", files).ToString();
            return Call(
                "CreateAvatarOnce", body, CreateSeconds, json => new AvatarInfo(json), cancel);
        }

        public Task<IReadOnlyList<AvatarInfo>> ListAvatars(CancellationToken cancel = default) =>
            Call("ListAvatars", "{}", CallSeconds, ReadAvatars, cancel);

        public Task DeleteAvatar(string name, CancellationToken cancel = default) =>
            Call("DeleteAvatar", new JsonWriter().Add("name", name)
                .ToString(), CallSeconds, Ignore, cancel);

        public Task<SessionInfo> StartSession(
            SessionRequest request, CancellationToken cancel = default) =>
            Call("StartSession", request.ToJson(), CallSeconds, json =>
                new SessionInfo(json), cancel);

        public Task EndSession(SessionInfo session, CancellationToken cancel = default) =>
            Call("EndSession", Owned(session).ToString(), CallSeconds, Ignore, cancel);

        /// <summary>
        /// One signal as a call of its own, which says why it is refused. <see cref="DriveSender"/>
        /// is for every frame.
        /// </summary>
        public Task DriveOnce(
            SessionInfo session, DriveSignal signal, CancellationToken cancel = default) =>
            Call("DriveOnce", DriveJson.Add(Owned(session), signal)
                .ToString(), CallSeconds, Ignore, cancel);

        internal Task DriveAudioOnce(
            JsonWriter header, ulong position, string chunk, CancellationToken cancel)
        {
            string body = new JsonWriter().Add("header", header).Add64("position", position)
                .Add("chunk", chunk).ToString();
            return Call("DriveAudioOnce", body, CallSeconds, Ignore, cancel);
        }

        /// <summary>Hang up: a call under way ends with a ServiceException, "canceled".</summary>
        public void Dispose()
        {
            _disposed = true;
            _http.Dispose();
        }

        static JsonWriter Owned(SessionInfo session) =>
            new JsonWriter().Add("sessionId", session.SessionId)
                .Add("ownerToken", session.OwnerToken);

        static bool Ignore(Json json) => true;

        static IReadOnlyList<AvatarInfo> ReadAvatars(Json json)
        {
            var found = new List<AvatarInfo>();
            foreach (Json avatar in json["avatars"].Items)
                found.Add(new AvatarInfo(avatar));
            return found;
        }

        async Task<T> Call<T>(
            string name, string body, double seconds, Func<Json, T> read, CancellationToken cancel)
        {
            using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limited.CancelAfter(TimeSpan.FromSeconds(seconds));
            try
            {
                using var content = new StringContent(body, Encoding.UTF8, "application/json");
                content.Headers.ContentType.CharSet = null;
                using var answer = await _http.PostAsync(
                    new Uri(_base, name), content, limited.Token).ConfigureAwait(false);
                string text = await answer.Content.ReadAsStringAsync().ConfigureAwait(false);
                if (!answer.IsSuccessStatusCode)
                    throw Refusal(name, (int)answer.StatusCode, text);
                return read(Json.Parse(text));
            }
            catch (Exception error) when (_disposed && !cancel.IsCancellationRequested)
            {
                throw new ServiceException(
                    "canceled", $"{name}: its client was closed before an answer came", error);
            }
            catch (HttpRequestException error)
            {
                throw new ServiceException(
                    "unavailable", $"no server answers at {_base.Authority}", error);
            }
            catch (JsonException error)
            {
                throw new ServiceException(
                    "internal",
                    $"{name}: what answers at {_base.Authority} is no FlexAvatar server",
                    error);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                throw new ServiceException(
                    "deadline_exceeded", $"{name}: no answer within {seconds} s");
            }
        }

        static ServiceException Refusal(string name, int status, string text)
        {
            try
            {
                Json error = Json.Parse(text);
                if (error["code"].Text != "")
                    return new ServiceException(error["code"].Text, error["message"].Text);
            }
            catch (JsonException)
            {
                // not the server's own words: a proxy's page, say
            }
            return new ServiceException("unknown", $"{name}: HTTP status {status}");
        }
    }

    /// <summary>Drive signals as the calls have them.</summary>
    static class DriveJson
    {
        internal static JsonWriter Orbit(float yawDeg, float pitchDeg) =>
            new JsonWriter()
                .Add("orbit", new JsonWriter().Add("yawDeg", yawDeg).Add("pitchDeg", pitchDeg));

        internal static JsonWriter Add(JsonWriter json, DriveSignal signal)
        {
            json.Add64("ptsNs", signal.PtsNs);
            if ((signal.Parts & DriveParts.Head) != 0)
                json.Add("head", new JsonWriter()
                    .Add("neckPose", List(signal.NeckPose))
                        .Add("globalOrient", List(signal.GlobalOrient))
                    .Add("transl", List(signal.Transl)));
            if ((signal.Parts & DriveParts.Arkit) != 0)
                json.Add("arkit", new JsonWriter().Add("weights", Weights(signal.Weights)));
            if ((signal.Parts & DriveParts.Orbit) != 0)
                json.Add("camera", Orbit(signal.OrbitYawDeg, signal.OrbitPitchDeg));
            if ((signal.Parts & DriveParts.Morph) != 0)
                json.Add("morph", new JsonWriter().Add("share", signal.Morph));
            return json;
        }

        // zeros are left out, which is what they mean: sessions with sources take no more than the
        // neck
        static float[] List(Float3 value) =>
            value.Equals(default) ? Array.Empty<float>() : new[] { value.X, value.Y, value.Z };

        static JsonWriter Weights(float[] weights)
        {
            var json = new JsonWriter();
            for (int i = 0; i < weights.Length; i++)
                json.Add(ArkitNames.All[i], weights[i]);
            return json;
        }
    }
}
