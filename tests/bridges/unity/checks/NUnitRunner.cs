using System;
using System.Collections.Generic;
using System.Reflection;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace FlexAvatar.Checks
{
    /// <summary>Runs the tests that Unity's Test Runner would run.</summary>
    static class NUnitRunner
    {
        internal static int Run(string assembly)
        {
            var runner = new NUnitTestAssemblyRunner(new DefaultTestAssemblyBuilder());
            runner.Load(Assembly.LoadFrom(assembly), new Dictionary<string, object>());
            ITestResult result = runner.Run(TestListener.NULL, TestFilter.Empty);
            Print(result);
            Program.Say(
                new JsonWriter().Add("passed", result.PassCount).Add("failed", result.FailCount)
                .Add("skipped", result.SkipCount + result.InconclusiveCount));
            return result.FailCount == 0 && result.PassCount > 0 ? 0 : 1;
        }

        static void Print(ITestResult result)
        {
            if (!result.HasChildren && result.ResultState.Status == TestStatus.Failed)
                Console.Error.WriteLine(
                    $"{result.FullName}: {result.Message}\n{result.StackTrace}");
            foreach (ITestResult child in result.Children)
                Print(child);
        }
    }
}
