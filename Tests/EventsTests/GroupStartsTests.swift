// Owns: the tests of where the pages of groups begin.

import Events
import SessionModel
import Testing

struct GroupStartsTests {
  @Test func `a page begins behind the one before it of its group`() {
    var starts = GroupStarts()
    let first = starts.start(of: "g")
    #expect(0..<Partition.count ~= first)
    starts.ended("g", in: Partition(index: 7))
    starts.ended("h", in: Partition(index: 255))
    #expect(starts.start(of: "g") == 8)
    #expect(starts.start(of: "h") == 0)
    #expect(starts.start(of: "g") == 8, "nothing has come since")
  }

  @Test func `new groups begin at different partitions, and old ones are forgotten`() {
    var starts = GroupStarts()
    let begun = (0..<10).map { starts.start(of: "new-\($0)") }
    #expect(Set(begun).count == 10)
    for number in 0..<1_000 { starts.ended("group-\(number)", in: Partition(index: 3)) }
    #expect(starts.start(of: "group-999") == 4)
    #expect(starts.start(of: "group-1") != starts.start(of: "group-1"), "it begins as a new one")
  }
}
