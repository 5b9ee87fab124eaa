// Owns: the tests of the places of callers that wait, when Redis has lost their queue.

import Scripts
import TestSupport
import Testing

struct QueuePlaceTests {
  private let bench = Result { try ScriptBench() }

  /// Asks for a lock that is another's; returns the place in the queue.
  private func wait(
    _ agent: String, _ ticket: String, waited: String = "0", place: String = ""
  ) throws -> String {
    let bench = try bench.get()
    let reply = try bench.call(
      .awaitLock, keys: [bench.base],
      ["d", agent, "3600000", "", "", "\(ticket) - \(agent) -", "9000", waited, place, ""])
    let words = (reply.items.first?.string ?? "").split(separator: " ")
    #expect(words.count == 2 && words[0] == "WAIT", "\(reply)")
    return words.last.map(String.init) ?? ""
  }

  @Test func `callers have their places again, in whatever order they ask`() throws {
    let bench = try bench.get()
    try bench.run(.lock, "d", "a", "3600000", "", "")
    let tickets = (1...4).map { "w\($0 % 2) 0.\($0)" }
    let places = try tickets.map { try wait("b", $0) }
    #expect(places == places.sorted() && Set(places).count == 4)
    #expect(try wait("b", tickets[0], waited: "9", place: places[0]) == places[0])
    let key = bench.base + ":locks:d"
    try bench.redis.command("DEL", key)
    let late = try wait("b", "w3 0.9")
    for at in [3, 0, 2, 1] {
      // The time that a request needs to Redis is not the same each time.
      #expect(try wait("b", tickets[at], waited: "\(9 + at)", place: places[at]) == places[at])
    }
    #expect(
      try bench.redis.command("ZRANGE", key, "0", "-1").items.compactMap(\.string)
        == (tickets + ["w3 0.9"]).map { "\($0) - b -" })
    #expect(places.allSatisfy { $0 < late })
  }

  @Test func `a caller whose place is not known has one by the time of its arrival`() throws {
    let bench = try bench.get()
    try bench.run(.lock, "d", "a", "3600000", "", "")
    let first = try wait("b", "w 0.1")
    let early = try wait("b", "w 0.2", waited: "60000")
    #expect(early < first)
    #expect(try wait("b", "w 0.3", waited: "9", place: "no number") > early)
  }
}
