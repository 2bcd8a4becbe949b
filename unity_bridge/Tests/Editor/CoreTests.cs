using System;
using NUnit.Framework;

namespace FlexAvatar.Tests
{
    public sealed class CoreTests
    {
        [Test]
        public void SortsBackToFront()
        {
            var random = new Random(3);
            var splats = new PackedSplat[5000];
            for (int i = 0; i < splats.Length; i++)
                splats[i].ZAxis = (uint)random.Next(0x3C00); // z from 0 to 1
            var sorter = new SplatSorter();
            sorter.Sort(splats, splats.Length, new Float3(0, 0, -1));
            const float Step = 1f / 65535; // depths closer than this share a place
            for (int i = 1; i < splats.Length; i++)
            {
                float before = splats[sorter.Order[i - 1]].Position.Z,
                    after = splats[sorter.Order[i]].Position.Z;
                Assert.LessOrEqual(
                    before, after + Step, "looking along -z, the smallest z is the farthest");
            }
            Array.Sort(sorter.Order);
            for (uint i = 0; i < splats.Length; i++)
                Assert.AreEqual(i, sorter.Order[i], "every splat once");
        }

        [Test]
        public void SortsWhatIsNoNumber()
        {
            var splats =
                new[] { new PackedSplat { XY = 0x7E00 }, new PackedSplat { XY = 0x7C00 },
                new PackedSplat { XY = 0x3C00 } };
            var sorter = new SplatSorter();
            sorter.Sort(splats, 3, new Float3(1, 0, 0));
            Assert.AreEqual(2, sorter.Order[0]);
            sorter.Sort(splats, 0, new Float3(1, 0, 0));
        }

        [Test]
        public void NewestWins()
        {
            var box = new Mailbox<MessageBuffer>();
            Assert.IsNull(box.TryTake());
            box.Writing.Length = 1;
            Assert.IsFalse(box.Publish());
            box.Writing.Length = 2;
            Assert.IsTrue(box.Publish());
            MessageBuffer taken = box.TryTake();
            Assert.AreEqual(2, taken.Length);
            Assert.IsNull(box.TryTake());
            box.Writing.Length = 3;
            box.Publish();
            Assert.AreEqual(2, taken.Length, "the reader's stays as it is until it takes the next");
        }

        [Test]
        public void JsonIsReadAndWritten()
        {
            string text = new JsonWriter().Add("name", "a\"\\\n").Add("share", 0.5)
                .Add("off", false)
                .Add64("pts", 12345678901234567).Add("list", new[] { 1f, -2.5f }).ToString();
            Json json = Json.Parse(text);
            Assert.AreEqual("a\"\\\n", json["name"].Text);
            Assert.AreEqual(0.5, json["share"].Number);
            Assert.AreEqual("12345678901234567", json["pts"].Text);
            Assert.AreEqual(-2.5, json["list"].Items[1].Number);
            Assert.IsTrue(json["off"].IsNothing, "what is empty is left out");
            Assert.AreEqual("", json["missing"]["deeper"].Text);
        }

        [Test]
        public void BrokenJsonIsRefused(
            [Values("", "{", "[1,]", "{\"a\":}", "\"\\q\"", "1 2", "nul", "\"\n\"")] string text) =>
            Assert.Throws<JsonException>(() => Json.Parse(text));

        [Test]
        public void DeepJsonIsRefused() =>
            Assert.Throws<JsonException>(() => Json.Parse(new string('[', 100000)));

        [Test]
        public void BackoffGrowsToItsLongest()
        {
            var backoff = new Backoff(100, 1000);
            for (int step = 100; step < 2000; step = Math.Min(2 * step, 2000))
                Assert.That(
                    backoff.NextMs(),
                    Is.InRange(3 * Math.Min(step, 1000) / 4, Math.Min(step, 1000)));
            backoff.Reset();
            Assert.LessOrEqual(backoff.NextMs(), 100);
        }

        [Test]
        public void AddressesAreParsed()
        {
            Assert.AreEqual(("::1", 5556), TcpAddress.Parse("tcp://[::1]:5556"));
            Assert.AreEqual(("localhost", 1), TcpAddress.Parse("tcp://localhost:1"));
            foreach (string wrong in new[] { "", "tcp://", "tcp://host", "ipc://a:1",
                "tcp://host:0", "tcp://host:70000" })
                Assert.Throws<FormatException>(() => TcpAddress.Parse(wrong));
        }

        [Test]
        public void ArkitNamesAreFoundInEitherCase()
        {
            Assert.AreEqual(ArkitNames.Count, ArkitNames.All.Count);
            Assert.AreEqual(ArkitNames.IndexOf("jawOpen"), ArkitNames.IndexOf("JawOpen"));
            Assert.AreEqual(-1, ArkitNames.IndexOf("jawopener"));
        }

        [Test]
        public void AnAddressThatIsNoneIsRefusedAtOnce() =>
            Assert.Throws<ServiceException>(
                () => new AvatarLink("127.0.0.1:50052", "", new SessionRequest()));
    }
}
