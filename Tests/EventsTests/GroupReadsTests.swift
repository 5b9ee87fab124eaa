// Owns: the tests of which request of a group is read for, and of which partitions.

import SessionModel
import Testing

@testable import Events

struct GroupReadsTests {
  private var reader = GroupReads(startAt: 0, wholeEveryMs: 30_000)

  private func page(
    _ ids: [String] = [], looked: Int, blocked: [Int] = [], againMs: Int64? = nil,
    isLossMet: Bool = false
  ) -> GroupPage {
    GroupPage(
      held: HeldEvents(group: "g", ids: ids.compactMap { EventID($0) }),
      blocked: blocked.map { Partition(index: $0) }, againMs: againMs, lookedCount: looked,
      isLossMet: isLossMet)
  }

  private func partitions(_ indexes: Int...) -> PartitionSet {
    PartitionSet(indexes.map { Partition(index: $0) })
  }

  private func next(_ nowMs: Int64, isFollowed: Bool = true, in reader: inout GroupReads)
    -> GroupRead?
  {
    reader.next(isFollowed: isFollowed, nowMs: nowMs)
  }

  /// A reader that knows that there is nothing, at moment 1,000, for these requests that wait.
  private func quiet(_ numbers: UInt64...) -> GroupReads {
    var reader = reader
    for number in numbers { reader.joined(number, needsAll: false) }
    let read = next(1_000, in: &reader)
    #expect(read?.number == numbers.first && read?.isWhole == true)
    #expect(read?.partitions == Partition.all)
    reader.found(page(looked: 256), nowMs: 1_000)
    #expect(next(1_000, in: &reader) == nil && reader.takeUnanswered() == numbers)
    return reader
  }

  @Test func `growth is read for one request at a time, in turn, where it is`() {
    var reader = quiet(1, 2, 3)
    #expect(next(2_000, in: &reader) == nil, "nothing has come")
    reader.logsGrew(partitions(7, 9))
    let first = next(2_000, in: &reader)
    #expect(first?.number == 1 && first?.partitions.map(\.index) == [7, 9])
    #expect(next(2_000, in: &reader) == nil, "one is in flight")
    reader.logsGrew(partitions(9))
    reader.found(page(["007-1-1"], looked: 2), nowMs: 2_001)
    reader.left(1)
    let second = next(2_001, in: &reader)
    #expect(second?.number == 2 && second?.partitions.map(\.index) == [9])
    // Another worker had it: the same request goes on waiting as the first.
    reader.found(page(looked: 1), nowMs: 2_002)
    reader.awaits(2)
    #expect(next(2_002, in: &reader) == nil && reader.takeUnanswered() == [2])
    reader.logsGrew(partitions(1))
    #expect(next(2_003, in: &reader)?.number == 2)
  }

  @Test func `a page that is full is gone on with behind the partition where it ended`() {
    var reader = quiet(1, 2)
    reader.logsGrew(partitions(3, 5, 8))
    #expect(next(2_000, in: &reader)?.partitions.map(\.index) == [3, 5, 8])
    reader.found(page(["003-1-1", "005-1-1"], looked: 1), nowMs: 2_000)
    reader.left(1)
    let read = next(2_000, in: &reader)
    #expect(read?.number == 2 && read?.partitions.map(\.index) == [8, 5])
  }

  @Test func `a read of some looks at no more than it may`() {
    var reader = quiet(1)
    reader.logsGrew(.all)
    #expect(next(2_000, in: &reader)?.partitions.count == GroupReads.partitionsMax)
    reader.found(page(looked: GroupReads.partitionsMax), nowMs: 2_000)
    #expect(next(2_000, in: &reader)?.partitions.first?.index == GroupReads.partitionsMax)
  }

  @Test
  func `what a worker holds is looked at again soon, then less often, and when it is released`() {
    var reader = quiet(1)
    reader.logsGrew(partitions(4))
    #expect(next(2_000, in: &reader) != nil)
    var (nowMs, pauses): (Int64, [Int64]) = (2_000, [])
    for _ in 0..<8 {
      reader.found(page(looked: 1, blocked: [4]), nowMs: nowMs)
      #expect(reader.isBlocked && next(nowMs, in: &reader) == nil)
      let atMs = reader.timerAtMs ?? 0
      pauses.append(atMs - nowMs)
      nowMs = atMs
      #expect(next(nowMs, in: &reader)?.partitions.map(\.index) == [4])
    }
    #expect(pauses == [10, 20, 40, 80, 160, 250, 250, 250])
    reader.found(page(looked: 1, blocked: [4]), nowMs: nowMs)
    reader.released(partitions(5))
    #expect(next(nowMs, in: &reader) == nil)
    reader.released(partitions(4))
    #expect(next(nowMs, in: &reader)?.partitions.map(\.index) == [4])
    reader.found(page(looked: 1), nowMs: nowMs)
    #expect(!reader.isBlocked)
    reader.returned(partitions(6))
    #expect(next(nowMs, in: &reader)?.partitions.map(\.index) == [6])
  }

  @Test func `all partitions are read for who cannot wait, and at times for all`() {
    var reader = quiet(1)
    reader.joined(2, needsAll: true)
    #expect(next(2_000, in: &reader)?.isWhole == true)
    // One more while that is in flight: it may have looked already.
    reader.joined(3, needsAll: true)
    reader.found(page(looked: 256, againMs: 500), nowMs: 2_000)
    #expect(next(2_000, in: &reader)?.isWhole == true)
    reader.found(page(looked: 256, againMs: 500), nowMs: 2_000)
    #expect(next(2_000, in: &reader) == nil && reader.timerAtMs == 2_500)
    #expect(next(2_500, in: &reader)?.isWhole == true)
    reader.found(page(looked: 256), nowMs: 2_500)
    #expect(reader.timerAtMs == 32_500)
    #expect(next(32_500, in: &reader)?.isWhole == true)
  }

  @Test func `what is known is forgotten while the tail does not follow the logs`() {
    var reader = quiet(1)
    reader.left(1)
    reader.forgetGrowth()
    reader.joined(2, needsAll: false)
    #expect(next(2_000, isFollowed: false, in: &reader)?.isWhole == true)
    reader.found(page(looked: 256), nowMs: 2_000)
    #expect(next(2_000, in: &reader) == nil, "it has looked")
    reader.joined(3, needsAll: false)
    #expect(next(2_000, in: &reader)?.isWhole == true)
    // The tail rests while that is in flight.
    reader.forgetGrowth()
    reader.found(page(looked: 256), nowMs: 2_000)
    reader.joined(4, needsAll: false)
    #expect(next(2_000, in: &reader)?.isWhole == true)
  }

  @Test func `a loss that was met is read with all partitions`() {
    var reader = quiet(1)
    reader.logsGrew(partitions(3))
    #expect(next(2_000, in: &reader)?.isWhole == false)
    reader.found(page(looked: 0, isLossMet: true), nowMs: 2_000)
    #expect(next(2_000, in: &reader)?.isWhole == true)
  }

  @Test func `after a failure those who wait are not read for at once, others are`() {
    var reader = quiet(1)
    reader.logsGrew(partitions(3))
    #expect(next(2_000, in: &reader)?.number == 1)
    reader.failed(nowMs: 2_000)
    reader.left(1)
    reader.joined(2, needsAll: false)
    #expect(reader.takeUnanswered() == [2])
    #expect(next(2_100, in: &reader) == nil && reader.timerAtMs == 2_250)
    reader.joined(3, needsAll: false)
    #expect(next(2_100, in: &reader)?.number == 3)
    reader.failed(nowMs: 2_100)
    reader.left(3)
    #expect(next(2_350, in: &reader)?.partitions.map(\.index) == [3])
  }

  @Test func `10,000 requests that leave keep no room`() {
    var line = RequestTurns()
    for number in 0..<10_000 { line.append(UInt64(number)) }
    for number in 0..<9_999 { line.remove(UInt64(number)) }
    #expect(line.first == 9_999 && line.count == 1)
    line.append(1)
    #expect(line.takeAll() == [9_999, 1] && line.isEmpty)
  }

  @Test func `a set of partitions has what was put in`() {
    var set = partitions(0, 63, 64, 255)
    #expect(set.members().map(\.index) == [0, 63, 64, 255])
    #expect(set.members(from: 64, most: 3).map(\.index) == [64, 255, 0])
    set.remove(Partition(index: 63))
    set.subtract(partitions(255, 7))
    #expect(set == partitions(0, 64) && set.contains(Partition(index: 64)))
    #expect(set.intersection(partitions(64, 65)) == partitions(64) && !set.isEmpty)
    set.formUnion(partitions(9))
    #expect(set == partitions(0, 9, 64) && PartitionSet().isEmpty)
    #expect(PartitionSet.all.members() == Partition.all)
  }
}
