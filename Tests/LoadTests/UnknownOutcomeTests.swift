// Owns: the tests that the checker accepts each history that unknown outcomes can explain: calls
// under way, calls without a reply, events before replies.

import Testing

@testable import Load

struct UnknownOutcomeTests {
  private static let a = 0
  private static let b = 1

  private static let opening: [Sight] = [
    .call(.lock(a), 0, 4, .grant(100, a, at: 2)),
    .call(.write(.open, a, 100), 5, 9, .done),
  ]

  private static let explained: [(String, [Sight])] = [
    (
      "an UNLOCK whose answer is lost, and another holder",
      [
        .call(.write(.unlock, a, 100), 10, 20, .unknown),
        .call(.lock(b), 30, 34, .grant(101, b, at: 32)),
        .call(.write(.unlock, b, 101), 40, 44, .released(heldMs: 10)), .verdict(30_000),
      ]
    ),
    (
      "an UNLOCK under way, and another holder",
      [
        .begin("unlock", .write(.unlock, a, 100), 10),
        .call(.lock(b), 30, 34, .grant(101, b, at: 32)),
        .end("unlock", 40, .released(heldMs: 18)),
        .call(.write(.unlock, b, 101), 50, 54, .released(heldMs: 20)), .verdict(30_000),
      ]
    ),
    (
      "a LOCK whose answer is lost, which was done after all",
      [
        .call(.write(.unlock, a, 100), 10, 14, .released(heldMs: 10)),
        .call(.lock(b), 20, 30, .unknown),
        .event(.reported(.abandoned, 101, b, from: 25, at: 10_025), 10_030), .verdict(30_000),
      ]
    ),
    (
      "a LOCK whose first try is lost, and whose second renews",
      [
        .call(.write(.unlock, a, 100), 10, 14, .released(heldMs: 10)),
        .begin("lock", .lock(b), 20), .end("lock", 60, .grant(101, b, at: 25, renewed: true)),
        .call(.write(.touch, b, 101), 70, 74, .done),
        .event(.reported(.abandoned, 101, b, from: 25, at: 10_055), 10_070), .verdict(30_000),
      ]
    ),
    (
      "a renewal whose answer is lost moves the deadline",
      [
        .call(.lock(a), 5_000, 5_010, .unknown),
        .call(.write(.touch, a, 100), 14_000, 14_004, .done),
        .event(.reported(.abandoned, 100, a, from: 2, at: 15_005), 15_010), .verdict(30_000),
      ]
    ),
    (
      "a SAY whose answer is lost is there",
      [
        .call(.say(1, a, 100), 10, 20, .unknown),
        .call(.say(2, a, 100), 30, 34, .said(seq: 2)),
        .call(.history(last: 10), 40, 44, .read((1, 1), (2, 2))),
      ]
    ),
    (
      "a SAY whose answer is lost is not there",
      [
        .call(.say(1, a, 100), 10, 20, .unknown),
        .call(.say(2, a, 100), 30, 34, .said(seq: 1)),
        .call(.history(last: 10), 40, 44, .read((1, 2))),
      ]
    ),
    (
      "a SAY under way is there, or not yet",
      [
        .begin("say", .say(1, a, 100), 10),
        .call(.history(last: 10), 12, 16, .read()),
        .call(.history(last: 10), 17, 21, .read((1, 1))), .end("say", 25, .said(seq: 1)),
      ]
    ),
    (
      "the event of a grant comes before the reply",
      [
        .call(.write(.unlock, a, 100), 10, 14, .released(heldMs: 10)),
        .begin("lock", .lock(b), 20),
        .event(.reported(.abandoned, 101, b, from: 25, at: 10_025), 10_030),
        .end("lock", 10_040, .grant(101, b, at: 25)), .verdict(30_000),
      ]
    ),
    (
      "the event of a handover comes before the reply",
      [
        .begin("handoff", .handoff(a, to: b, 100), 20),
        .event(.reported(.handedOff, 100, a, from: 2, at: 25), 28),
        .end("handoff", 30, .grant(101, b, at: 25)),
        .event(.reported(.abandoned, 101, b, from: 25, at: 10_025), 10_030), .verdict(30_000),
      ]
    ),
    (
      "a rival renews, and gives back, what a handover under way has given it",
      [
        .begin("handoff", .handoff(a, to: b, 100), 20),
        .call(.lock(b), 22, 26, .grant(101, b, at: 21, renewed: true)),
        .call(.write(.unlock, b, 101), 27, 29, .released(heldMs: 7)),
        .end("handoff", 30, .grant(101, b, at: 21)),
        .event(.reported(.handedOff, 100, a, from: 2, at: 21), 31), .verdict(30_000),
      ]
    ),
    (
      "the log and two watches report the same event",
      [
        .event(.reported(.abandoned, 100, a, from: 2, at: 10_002), 10_010, watch: 1),
        .event(.reported(.abandoned, 100, a, from: 2, at: 10_002), 10_020, watch: 0),
        .event(.reported(.abandoned, 100, a, from: 2, at: 10_002), 10_030, watch: 2),
        .verdict(30_000),
      ]
    ),
    (
      "a write that began before the handover is refused after it",
      [
        .begin("touch", .write(.touch, a, 100), 10),
        .call(.handoff(a, to: b, 100), 12, 16, .grant(101, b, at: 14)),
        .end("touch", 20, .stale), .event(.reported(.handedOff, 100, a, from: 2, at: 14), 21),
      ]
    ),
    (
      "a write that began before the handover is accepted",
      [
        .begin("touch", .write(.touch, a, 100), 10),
        .call(.handoff(a, to: b, 100), 12, 16, .grant(101, b, at: 14)),
        .end("touch", 20, .done), .event(.reported(.handedOff, 100, a, from: 2, at: 14), 21),
      ]
    ),
    (
      "a write near the deadline is accepted, or refused",
      [
        .call(.write(.touch, a, 100), 9_998, 10_010, .done),
        .call(.write(.touch, a, 100), 10_001, 10_020, .stale),
      ]
    ),
  ]

  @Test(arguments: explained.indices) func `an explicable history is no violation`(index: Int) {
    let (name, sights) = Self.explained[index]
    let violation = Story(sights: Self.opening + sights).verdict()
    #expect(violation == nil, "\(name): \(String(describing: violation))")
  }

  @Test func `the loose try of a LOCK may be done late, and one that is repeatable may not`() {
    let late: [Sight] = [
      .call(.write(.unlock, 0, 100), 10, 14, .released(heldMs: 10)),
      .begin("lock", .lock(1), 20),
      .end("lock", 60, .grant(101, 1, at: 40), leavesLoose: true),
      .call(.write(.unlock, 1, 101), 70, 74, .released(heldMs: 32)),
      .event(.reported(.abandoned, 102, 1, from: 80, at: 10_080), 10_090), .verdict(30_000),
    ]
    #expect(Story(sights: Self.opening + late).verdict() == nil)
    var sure = late
    sure[2] = .end("lock", 60, .grant(101, 1, at: 40))
    #expect(Story(sights: Self.opening + sure).verdict()?.rule == .unexplainedEvent)
  }

  @Test func `an ending that an unknown UNLOCK may have made is counted, not judged`() {
    var check = DeviceCheck()
    let lock = check.began(.lock(0))
    #expect(check.ended(lock, .grant(100, 0, at: 1), triedNs: 0, nowNs: 2_000_000) == nil)
    #expect(!check.allIsReported)
    let unlock = check.began(.write(.unlock, 0, 100))
    #expect(check.ended(unlock, .unknown, triedNs: 3_000_000, nowNs: 4_000_000) == nil)
    #expect(check.verdict(nowNs: 60_000_000_000) == nil)
    #expect(check.unverifiable == 1)
  }

  @Test func `the end of a lock is waited for from its last renewal on`() throws {
    var check = DeviceCheck()
    #expect(check.overByNs == nil)
    let lock = check.began(.lock(0))
    #expect(check.ended(lock, .grant(100, 0, at: 1), triedNs: 0, nowNs: 2_000_000) == nil)
    let first = try #require(check.overByNs)
    #expect(first >= (Story.ttlMs + 2) * 1_000_000)
    var renewal = LoadCall.lock(0)
    renewal.invokedNs = 5_000_000_000
    let again = check.began(renewal)
    #expect(
      check.ended(
        again, .grant(100, 0, at: 1, renewed: true), triedNs: 5_000_000_000,
        nowNs: 5_001_000_000) == nil)
    #expect(try #require(check.overByNs) >= first + 4_999_000_000)
    #expect(
      check.reported(
        .reported(.abandoned, 100, 0, from: 1, at: 15_001), nowNs: 15_010_000_000, watch: 1) == nil)
    #expect(check.overByNs == nil)
    #expect(check.allIsReported && check.abandonments == 1)
  }

  @Test func `the events of a session that was closed are waited for`() {
    var check = DeviceCheck()
    var recover = LoadCall(.recover)
    recover.clocks = ShortClocks(idleMs: 5_000, abandonMs: 10_000, archiveMs: 5_000)
    let outcomes: [(LoadCall, LoadOutcome)] = [
      (recover, .session(ShownSession(session: "S", activeAtMs: Story.epochMs))),
      (LoadCall(.pause), .session(ShownSession(session: "S", activeAtMs: Story.epochMs))),
      (LoadCall(.close), .done),
    ]
    for (call, outcome) in outcomes {
      let id = check.began(call)
      #expect(check.ended(id, outcome, triedNs: 0, nowNs: 7_000_000) == nil)
    }
    #expect(!check.allIsReported && check.overByNs == 7_000_000)
    let paused = LockEvent(
      id: "0a3-1-0", kind: .sessionPaused, atMs: Story.epochMs + 5, session: "S")
    #expect(check.reported(paused, nowNs: 9_000_000, watch: 1) == nil)
    #expect(check.allIsReported && check.overByNs == nil)
    #expect(check.verdict(nowNs: 9_000_000) == nil)
  }

  @Test func `a history shows calls and events, with times from the start`() {
    var check = DeviceCheck()
    var call = LoadCall.lock(0)
    call.invokedNs = 1_500_000_000
    let lock = check.began(call)
    _ = check.ended(lock, .grant(100, 0, at: 1), triedNs: 1_500_000_000, nowNs: 1_502_000_000)
    let lines = check.history.lines(zeroNs: 1_000_000_000)
    #expect(lines.count == 2)
    #expect(lines[0].contains("0.5000  #1 → LOCK by scheduling ttl=10000ms"))
    #expect(lines[1].contains("0.5020  #1 ← LOCK: OK token=100"))
  }

  @Test func `a long history keeps its newest part`() {
    var check = DeviceCheck()
    for number in 0..<500 {
      let id = check.began(LoadCall(.holder))
      _ = check.ended(id, .none, triedNs: 0, nowNs: Int64(number))
    }
    let lines = check.history.lines(zeroNs: 0)
    #expect(lines.count == CallHistory.entriesMax)
    #expect(lines.last?.contains("#500 ←") == true)
    #expect(lines.first?.contains("#421 →") == true)
  }
}
