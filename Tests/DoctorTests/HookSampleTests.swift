// Owns: the tests of what the doctor says about webhooks.

import Testing

@testable import Doctor

struct HookSampleTests {
  private func finding(_ names: [String], _ figures: [String: String]) -> Finding? {
    var sample = HookSample()
    let pairs = figures.flatMap { [Answer.text($0.key), Answer.text($0.value)] }
    sample.take([.list(names.map { .text($0) }), .list(pairs)])
    return sample.finding
  }

  @Test func `a receiver that takes nothing is reported with its error`() throws {
    #expect(finding([], [:]) == nil)
    #expect(HookSample().finding == nil)
    let good = try #require(finding(["a", "b"], ["delivered_at a": "5", "error_at a": "4"]))
    #expect(good.level == .ok && good.text.contains("2 webhooks"))
    let bad = try #require(
      finding(["a", "b"], ["delivered_at b": "5", "error_at b": "6", "error b": "answered 500"]))
    #expect(bad.level == .warn && bad.text.contains("1 of 2") && bad.text.contains("answered 500"))
    #expect(bad.fix?.contains("UNHOOK b") == true)
    let text = "its certificate does not verify"
    let unverified = try #require(finding(["a"], ["error_at a": "6", "error a": text]))
    #expect(unverified.fix?.contains("--hook-ca") == true)
  }

  @Test func `a node without the hooks says nothing`() {
    var sample = HookSample()
    sample.take([.error("MOVED 1 a"), .error("MOVED 1 a")])
    #expect(sample.finding == nil)
    #expect(HookSample.reads("lk")[0] == ["HKEYS", "lk:{000}:hooks"])
  }
}
