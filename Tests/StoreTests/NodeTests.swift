// Owns: the tests of how partitions are divided among the nodes of a cluster, and of how what the
// nodes answer becomes one reply.

import Loop
import RedisConnection
import Scripts
import SessionModel
import Testing

@testable import Store

struct NodeTests {
  private static func node(_ port: UInt16) -> Address { .tcp(host: "10.0.0.1", port: port) }

  @Test func `each partition is with the master of its slot`() {
    let map = ClusterMap([
      .init(slots: 0...9_999, master: Self.node(1), replicas: [Self.node(3)]),
      .init(slots: 10_000...16_000, master: Self.node(2)),
    ])
    for (partition, master) in zip(Partition.all, map.masters) {
      let slot = HashSlot.ofPartitions[partition.index]
      let expected = slot < 10_000 ? Self.node(1) : slot <= 16_000 ? Self.node(2) : nil
      #expect(master == expected)
    }
    #expect(map.addresses == [Self.node(1), Self.node(2), Self.node(3)])
  }

  private func words(_ query: ScriptQuery) -> [String] {
    query.arguments.words.map { String(decoding: $0, as: UTF8.self).split(separator: "\r\n").last }
      .map { String($0 ?? "") }
  }

  @Test func `a part of a query has the words of its partitions`() {
    let partitions = [3, 5, 7].map { Partition(index: $0) }
    struct Acknowledging: ScriptCall {
      static let script = Script.ack
      func write(to words: inout CommandBuffer) {
        for word in ["group", "1-0", "2-0", "3-0"] { words.word(word) }
      }
    }
    let acknowledged = ScriptQuery(Acknowledging(), over: partitions).part([0, 2])
    #expect(acknowledged.partitions.map(\.index) == [3, 7])
    #expect(words(acknowledged) == ["group", "1-0", "3-0"])
    struct Watching: ScriptCall {
      static let script = Script.watchChanges
      let device: String
      func write(to words: inout CommandBuffer) {
        words.word(device)
        words.word("60000")
      }
    }
    let all = ScriptQuery(
      partitions.map { (partition: $0, call: Watching(device: "d\($0.index)")) })
    let watched = all.part([1])
    #expect(watched.partitions.map(\.index) == [5] && words(watched) == ["d5", "60000"])
    #expect(all.parts(2).map { $0.partitions.map(\.index) } == [[3, 5], [7]])
    #expect(all.parts(2).map(words) == [["d3", "60000", "d5", "60000"], ["d7", "60000"]])
    #expect(all.parts(3).map(words) == [words(all)])
    struct Counting: ScriptCall {
      static let script = Script.reportAgent
      func write(to words: inout CommandBuffer) { words.word("a") }
    }
    #expect(words(ScriptQuery(Counting(), over: partitions).part([2])) == ["a"])
  }

  @Test func `numbers and lines of several nodes are added up`() {
    let sums = [2, 3].map { MergedReply(integer: $0) }
    #expect(ReplyMerge(.liveSessions).merged([], sums).lend(\.integer) == 5)
    let lists = [[1, 2], [10, 20]].map { numbers in
      MergedReply(numbers.map { MergedReply(integer: $0) })
    }
    let added = ReplyMerge(.owned).merged([], lists)
    #expect(added.lend { $0.elements.map(\.integer) } == [11, 22])
    let acked = ["OK {\"acked\":1}", "OK {\"acked\":4}"].map { MergedReply(text: $0) }
    #expect(ReplyMerge(.ack).merged([], acked).lend(\.text) == "OK {\"acked\":5}")
    let figures = ["held", "ended", "abandoned", "held_ms_mean", "held_ms_longest"]
    let line = { (values: [Int], end: String) in
      let members = zip(figures, values).map { "\"\($0)\":\($1)" }.joined(separator: ",")
      return "OK {\"agent\":\"a:held\",\(members)\(end)}"
    }
    let agents = [
      line([1, 10, 2, 100, 900], ""), line([2, 30, 1, 200, 500], ",\"damaged\":[\"held\"]"),
    ].map { MergedReply(text: $0) }
    let whole = ReplyMerge(.reportAgent).merged([], agents).lend(\.text)
    #expect(whole == line([3, 40, 3, 175, 900], ",\"damaged\":[\"held\"]"))
    let refused = [MergedReply(text: "OK {\"acked\":1}"), MergedReply(text: "ERR internal x")]
    #expect(ReplyMerge(.ack).merged([], refused).lend(\.text) == "ERR internal x")
  }

  private func page(
    _ ids: [String], looked: Int, blocked: [Int] = [], losses: [Int] = [], againMs: Int64 = -1
  ) -> MergedReply {
    let numbers = { (list: [Int]) in MergedReply(list.map { MergedReply(integer: Int64($0)) }) }
    let end = ids.flatMap { [MergedReply(text: $0), MergedReply(integer: 1)] }
    let head = MergedReply([MergedReply(text: "events")])
    return MergedReply(
      [
        head, numbers(blocked), MergedReply(integer: againMs), numbers(losses), numbers([]),
        MergedReply(integer: Int64(looked)), MergedReply(integer: 0),
      ] + end)
  }

  @Test func `pages of a group are put together up to the first with events`() throws {
    var merge = PageMerge()
    let (empty, full) = (
      page([], looked: 2, blocked: [1], againMs: 9), page(["0a3-1-0"], looked: 1)
    )
    let isPage = empty.lend { merge.isPage($0) }
    let isOver = [empty.lend { merge.add($0, [4, 6]) }, full.lend { merge.add($0, [5, 7]) }]
    #expect(isPage && isOver == [false, true])
    try #require(merge.page).lend { reply in
      #expect(reply[1].elements.map(\.integer) == [6])
      #expect(reply[2].integer == 9)
      #expect(reply[5].elements.map(\.integer) == [4, 6, 5])
      #expect(reply[7].text == "0a3-1-0")
    }
    var other = PageMerge()
    let endsAtLoss = page([], looked: 1, losses: [0]).lend { other.add($0, [3]) }
    let losses = other.page?.lend { $0[3].elements.map(\.integer) }
    #expect(endsAtLoss && losses == [3])
  }

  /// Parks entries of these partitions, whose time ends at 9 ms.
  private func park(
    _ parked: inout ParkedCalls, _ entries: [Int]..., from origin: ParkedCalls.Origin = .held
  ) {
    for numbers in entries {
      parked.append(
        .init(partitions: numbers.map { Partition(index: $0) }, untilMs: 9, resend: {}, fail: {}),
        origin)
    }
  }

  private func taken(_ parked: inout ParkedCalls, nowMs: Int64 = 0) -> [[Int]] {
    parked.take(nowMs: nowMs).map { $0.partitions.map(\.index) }
  }

  @Test func `what is parked is taken once, and holds what comes behind it`() {
    var parked = ParkedCalls()
    #expect(parked.isEmpty && !parked.holds(3))
    park(&parked, [3], [3, 5], [4])
    #expect(parked.holds(3) && parked.holds(4) && parked.holds(5) && !parked.holds(6))
    #expect(taken(&parked) == [[3], [3, 5], [4]])
    #expect(parked.isEmpty && !parked.holds(3) && taken(&parked).isEmpty)
  }

  @Test func `what is parked waits for what was sent before it, and goes in its order`() {
    var parked = ParkedCalls()
    let barred = [Partition(index: 3)]
    parked.bar(barred)
    parked.bar(barred)
    #expect(parked.isEmpty && parked.holds(3) && !parked.holds(4))
    park(&parked, [3], [4], [4, 3], [4], [5])
    #expect(taken(&parked) == [[5]])
    parked.unbar(barred)
    #expect(taken(&parked).isEmpty && parked.holds(4))
    parked.unbar(barred)
    #expect(taken(&parked) == [[3], [4], [4, 3], [4]])
    #expect(parked.isEmpty && !parked.holds(3) && !parked.holds(4))
    // What comes back was sent before what is held, and that before what was to follow it.
    park(&parked, [3])
    park(&parked, [3, 4], from: .takenBack)
    park(&parked, [3, 5], from: .returned)
    #expect(taken(&parked) == [[3, 5], [3, 4], [3]])
    // What has no time left is given back.
    parked.bar(barred)
    park(&parked, [3])
    #expect(taken(&parked, nowMs: 8).isEmpty && taken(&parked, nowMs: 9) == [[3]])
    #expect(parked.holds(3))
  }
}
