using System;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace FlexAvatar.Tests
{
    /// <summary>
    /// Nothing of the package makes an engine's thread wait, and no thread dies unheard.
    /// </summary>
    public sealed class ThreadTests
    {
        const int PatienceMs = 5000;
        const int AtOnceMs = 250; // what waited here took half a second or for ever

        static readonly PackedSplat[] Two = // x is 1 and 2
            { new PackedSplat { XY = 0x3C00 }, new PackedSplat { XY = 0x4000 } };

        [Test]
        public void TheWorkerSortsACopy()
        {
            var splats = (PackedSplat[])Two.Clone();
            using var worker = new SplatSortWorker();
            Assert.IsFalse(worker.TryTake(out _));
            Assert.IsTrue(worker.TryBegin(splats, 2, new Float3(1, 0, 0)));
            (splats[0], splats[1]) = (splats[1], splats[0]);
            Assert.AreEqual(2, WaitForOrder(worker));
            Assert.AreEqual(
                new uint[] { 1, 0 }, worker.Order,
                "the farthest first, as they were at the beginning");
            Assert.IsTrue(worker.TryBegin(splats, 1, new Float3(1, 0, 0)));
        }

        [Test]
        public void ASortThatHangsIsNotWaitedFor()
        {
            using var sorter = new FaultySorter { Hangs = true };
            using var worker = new SplatSortWorker(sorter);
            var watch = Stopwatch.StartNew();
            Assert.IsTrue(worker.TryBegin(Two, 2, new Float3(1, 0, 0)));
            Assert.IsFalse(worker.TryTake(out _));
            Assert.IsFalse(worker.TryBegin(Two, 2, new Float3(1, 0, 0)), "it is busy");
            worker.Dispose();
            Assert.Less(watch.ElapsedMilliseconds, AtOnceMs);
        }

        [Test]
        public void ASortThatFailsIsToldOfOnceAndTheNextIsSorted()
        {
            using var sorter = new FaultySorter { Fails = true };
            using var worker = new SplatSortWorker(sorter);
            Assert.IsNull(worker.TakeError());
            Assert.IsTrue(worker.TryBegin(Two, 2, new Float3(1, 0, 0)));
            Exception error = null;
            Assert.IsTrue(SpinWait.SpinUntil(
                () => (error = worker.TakeError()) != null, PatienceMs));
            StringAssert.Contains("of this test", error.Message);
            Assert.IsNull(worker.TakeError());
            Assert.IsFalse(worker.TryTake(out _));
            sorter.Fails = false;
            Assert.IsTrue(worker.TryBegin(Two, 2, new Float3(1, 0, 0)));
            Assert.AreEqual(2, WaitForOrder(worker));
        }

        [Test]
        public void ALinkWithoutAServerWaitsAndCloses()
        {
            var link = new AvatarLink(
                "http://127.0.0.1:9", "", new SessionRequest { Avatar = "me" });
            Assert.IsTrue(
                SpinWait.SpinUntil(
                    () => link.State == LinkState.Waiting, PatienceMs), link.LastError);
            StringAssert.Contains("no server answers", link.LastError);
            link.Drive(new DriveSignal { Parts = DriveParts.Arkit });
            link.Dispose();
            Assert.AreEqual(LinkState.Stopped, link.State);
            link.Dispose(); // by its component, after everything was closed
            link.Drive(new DriveSignal { Parts = DriveParts.Arkit });
            Assert.IsTrue(link.Join(PatienceMs));
        }

        [Test]
        public void ALinkIsClosedWithoutWaitingForItsServer()
        {
            using var server = new FakeServer(); // which never answers EndSession
            server.Answers["StartSession"] = server.Session("");
            var link = new AvatarLink(server.Address, "", new SessionRequest { Avatar = "me" });
            Assert.IsTrue(
                SpinWait.SpinUntil(() => link.Session != null, PatienceMs), link.LastError);
            var watch = Stopwatch.StartNew();
            link.Dispose();
            Assert.Less(watch.ElapsedMilliseconds, AtOnceMs);
            Assert.AreEqual(LinkState.Stopped, link.State);
            Assert.IsTrue(link.Join(PatienceMs), "its thread ends by itself");
        }

        [Test]
        public void ADriveAddressThatIsNoneIsToldOf()
        {
            using var server = new FakeServer();
            server.Answers["StartSession"] = server.Session("nowhere at all");
            server.Answers["EndSession"] = "{}";
            var link = new AvatarLink(server.Address, "", new SessionRequest { Avatar = "me" });
            Assert.IsTrue(
                SpinWait.SpinUntil(
                    () => link.LastError.StartsWith("drive packets: "), PatienceMs),
                link.LastError);
            link.Dispose();
            Assert.IsTrue(link.Join(PatienceMs));
        }

        [Test]
        public void AClientThatIsClosedEndsItsCalls()
        {
            using var server = new FakeServer();
            var service = new ServiceClient(server.Address);
            Task call = service.CreateAvatar("me", new[] { new byte[] { 1 } });
            service.Dispose();
            var error = Assert.Throws<ServiceException>(() => call.GetAwaiter().GetResult());
            Assert.AreEqual("canceled", error.Code);
            StringAssert.Contains("CreateAvatarOnce: its client was closed", error.Message);
        }

        static int WaitForOrder(SplatSortWorker worker)
        {
            int count = 0;
            Assert.IsTrue(SpinWait.SpinUntil(() => worker.TryTake(out count), PatienceMs));
            return count;
        }

        /// <summary>Sorts only when it neither hangs nor fails.</summary>
        sealed class FaultySorter : SplatSorter, IDisposable
        {
            readonly ManualResetEvent _released = new ManualResetEvent(false);
            internal volatile bool Hangs, Fails;

            public override void Sort(PackedSplat[] splats, int count, Float3 forward)
            {
                if (Hangs)
                    _released.WaitOne();
                if (Fails)
                    throw new InvalidOperationException("a fault of this test");
                base.Sort(splats, count, forward);
            }

            public void Dispose() => _released.Set();
        }
    }
}
