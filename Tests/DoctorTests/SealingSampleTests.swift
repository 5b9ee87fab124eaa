// Owns: the tests of what the doctor says of sealed values.

import Testing

@testable import Doctor

struct SealingSampleTests {
  private func sealed(_ key: String) -> String { "\"\u{1E}\(key):AAAA\"" }

  @Test func `values are counted by the key that has sealed them`() {
    var sample = SealingSample()
    let members: [String] = [
      "state", "active", "f:\"a\"", "1 \(sealed("k1"))", "f:\"b\"", "2 {\"x\":1}", "f:\"gone\"",
      "3",
      "c:1", sealed("k2"), "name", "1 \"n\"",
    ]
    sample.take([
      .list([.text("0"), .list(members.map { .text($0) })]),
      .list([
        .text("1,\"at\":1795233484561,\"message\":\(sealed("k2"))}"),
        .text("2,\"at\":1795233484561,\"message\":{\"m\":1}}"),
      ]),
      .list([.text("k\0" + "4 1795233484561 \(sealed("k2"))"), .text("l\0" + "5 1795233484561 ")]),
    ])
    #expect(sample.counts == ["k1": 1, "k2": 3, "": 2])
    #expect(
      sample.finding?.text
        == "of 6 values of a sample 50 % sealed by k2, 33 % not sealed, 17 % sealed by k1")
  }

  @Test func `without a sealed value there is nothing to say`() {
    var sample = SealingSample()
    #expect(sample.finding == nil)
    let members = ["f:\"a\"", "1 2"].map { Answer.text($0) }
    sample.take([.list([.text("0"), .list(members)]), .list([]), .error("MOVED 1 x")])
    #expect(sample.counts == ["": 1] && sample.finding == nil)
  }

  @Test func `sessions are read where a partition has some`() {
    let lists = SealingSample.lists("lk")
    #expect(lists.count == 256 && lists[0] == ["ZRANGE", "lk:{000}:sessions", "-1", "-1"])
    let answers = lists.indices.map { $0 == 1 ? Answer.list([.text("d/S")]) : .list([]) }
    let reads = SealingSample.reads("lk", answers)
    #expect(reads.map { $0[1] } == ["", "/1", "/docs"].map { "lk:{001}:session:d/S" + $0 })
  }
}
