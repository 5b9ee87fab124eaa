// Owns: the tests of the partition of an id. The hash is fixed: to change it loses every key that
// was ever written.

import SessionModel
import Testing
import TestSupport

struct PartitionTests {
  /// Computed by another program (Python), not by the code under test.
  @Test(
    arguments: [
      ("d1", "060"), ("device-123", "07d"), ("a", "0ed"), ("~", "0db"),
      ("A-Z.a_z:0@9+-%", "006"), ("550e8400-e29b-41d4-a716-446655440000", "00b"),
      ("user=42", "066"), ("mission:apollo", "02d"), (String(repeating: "x", count: 128), "023"),
      ("%7Bbraced%7D", "0cc"),
    ] as [(String, String)])
  func `an id lies where it has always lain`(id: String, tag: String) {
    #expect(Partition(of: id).tag == tag)
    let bytes = Array(id.utf8)
    #expect(bytes.withUnsafeBufferPointer { Partition(of: $0) } == Partition(of: id))
  }

  @Test func `there are 256 partitions`() {
    #expect(Partition.count == 256)
    #expect(Partition(index: 0).tag == "000")
    #expect(Partition(index: 255).tag == "0ff")
  }

  @Test func `numbered devices fall into all partitions evenly`() {
    expectEven((0..<100_000).map { "device-\($0)" })
  }

  @Test func `random devices fall into all partitions evenly`() {
    var random = Seeded("ids like UUIDs")
    expectEven(
      (0..<100_000).map { _ in
        String(UInt64.random(in: 1 << 60 ... .max, using: &random), radix: 16)
          + "-" + String(UInt64.random(in: 1 << 60 ... .max, using: &random), radix: 16)
      })
  }

  /// Six standard deviations from the mean: chance alone does that once in some million runs.
  private func expectEven(_ ids: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    var counts = [Int](repeating: 0, count: Partition.count)
    for id in ids { counts[Partition(of: id).index] += 1 }
    let mean = Double(ids.count) / Double(Partition.count)
    let slack = 6 * mean.squareRoot()
    for (index, count) in counts.enumerated() {
      #expect(
        abs(Double(count) - mean) < slack, "partition \(index) has \(count) of \(ids.count) ids",
        sourceLocation: sourceLocation)
    }
  }

  @Test func `each tag reads as the partition that wrote it`() {
    var seen: Set<String> = []
    for index in 0..<Partition.count {
      let partition = Partition(index: index)
      #expect(partition.tag.utf8.count == 3)
      #expect(Partition(tag: partition.tag) == partition)
      #expect(Partition(tag: "x\(partition.tag)-1".dropFirst().prefix(3)) == partition)
      seen.insert(partition.tag)
    }
    #expect(seen.count == Partition.count)
  }

  @Test(arguments: [
    "", "0", "00", "0000", "100", "fff", "0fg", "0x1", "+0a", "-00", "-01", " 0a", "0a ", "0a\n",
    "00\u{0}", "０ａ", "0é", "00ff", "{0a3}",
  ])
  func `an invalid tag is rejected`(text: String) {
    #expect(Partition(tag: text) == nil)
  }

  @Test func `a number beyond the last partition is a bug and traps`() async {
    await #expect(processExitsWith: .failure) { _ = Partition(index: 256) }
    await #expect(processExitsWith: .failure) { _ = Partition(index: -1) }
  }
}
