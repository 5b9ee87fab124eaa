// Owns: the tests of the states of an EVENTS request: each state with each event that it can get.

import Testing

@testable import Events

struct EventWaitTests {
  private static let nothing = EventAnswer.nothing(isBlocked: false, againMs: nil)
  private static let blocked = EventAnswer.nothing(isBlocked: true, againMs: nil)

  /// An event at moment 1,000 by default.
  private enum Event: String, CaseIterable {
    case tailRuns, eventsCame, foundNothing, foundEvents, failed, timerEarly, timerLate, written
    case closed, inputEnded, refused, cutShort

    func happens(to wait: inout EventWait) -> EventWait.Action {
      switch self {
      case .tailRuns: wait.tailRuns(nowMs: 1_000)
      case .eventsCame: wait.eventsCame(nowMs: 1_000)
      case .foundNothing: wait.answered(EventWaitTests.nothing, nowMs: 1_000)
      case .foundEvents: wait.answered(.events, nowMs: 1_000)
      case .failed: wait.answered(.failed, nowMs: 1_000)
      case .timerEarly: wait.timerFired(nowMs: 1_000)
      case .timerLate: wait.timerFired(nowMs: 900_000)
      case .written: wait.written()
      case .closed: wait.closed()
      case .inputEnded: wait.inputEnded(nowMs: 1_000)
      case .refused: wait.refused()
      case .cutShort: wait.cutShort(nowMs: 1_000)
      }
    }
  }

  /// A request in a state that was reached at moment 1,000.
  private func wait(
    _ state: EventWait.State, takes: Bool = true, waitMs: Int64 = 600_000
  ) -> EventWait {
    var wait = EventWait(takes: takes, waitMs: waitMs)
    if state == .queued { return wait }
    _ = wait.turnCame(nowMs: 1_000)
    if state == .starting { return wait }
    if waitMs > 0 { _ = wait.tailRuns(nowMs: 1_000) }
    switch state {
    case .asking(isStale: true): _ = wait.eventsCame(nowMs: 1_000)
    case .resting: _ = wait.answered(Self.nothing, nowMs: 1_000)
    case .leaving: _ = wait.closed()
    case .writing: _ = wait.answered(.events, nowMs: 1_000)
    case .queued, .starting, .asking, .ended: break
    }
    #expect(wait.state == state)
    return wait
  }

  private typealias Cells = [Event: (EventWait.Action, EventWait.State)]

  private static let asking = EventWait.State.asking(isStale: false)
  private static let stale = EventWait.State.asking(isStale: true)

  /// The effect of each event on a read of a group; a pair that is not here traps.
  private static let group: [(EventWait.State, Cells)] = [
    (
      .queued,
      [
        .eventsCame: (.nothing, .queued), .timerEarly: (.nothing, .queued),
        .timerLate: (.nothing, .queued), .closed: (.forget, .ended),
        .inputEnded: (.nothing, .queued), .refused: (.refuse, .ended),
        .cutShort: (.nothing, .queued),
      ]
    ),
    (
      .starting,
      [
        .tailRuns: (.ask, asking), .eventsCame: (.nothing, .starting),
        .timerEarly: (.nothing, .starting), .timerLate: (.ask, asking),
        .closed: (.forget, .ended), .inputEnded: (.ask, asking), .refused: (.refuse, .ended),
        .cutShort: (.ask, asking),
      ]
    ),
    (
      asking,
      [
        .tailRuns: (.nothing, asking), .eventsCame: (.nothing, stale),
        .foundNothing: (.nothing, .resting), .foundEvents: (.deliver, .writing),
        .failed: (.answerError, .ended), .timerEarly: (.nothing, asking),
        .timerLate: (.nothing, asking), .closed: (.forget, .leaving),
        .inputEnded: (.nothing, asking), .refused: (.refuse, .leaving),
        .cutShort: (.nothing, asking),
      ]
    ),
    (
      stale,
      [
        .tailRuns: (.nothing, stale), .eventsCame: (.nothing, stale),
        .foundNothing: (.ask, asking), .foundEvents: (.deliver, .writing),
        .failed: (.answerError, .ended), .timerEarly: (.nothing, stale),
        .timerLate: (.nothing, stale), .closed: (.forget, .leaving),
        .inputEnded: (.nothing, stale), .refused: (.refuse, .leaving), .cutShort: (.nothing, stale),
      ]
    ),
    (
      .resting,
      [
        .tailRuns: (.nothing, .resting), .eventsCame: (.ask, asking),
        .timerEarly: (.nothing, .resting), .timerLate: (.answerNothing, .ended),
        .closed: (.forget, .ended), .inputEnded: (.answerNothing, .ended),
        .refused: (.refuse, .ended), .cutShort: (.answerNothing, .ended),
      ]
    ),
    (
      .leaving,
      [
        .tailRuns: (.nothing, .leaving), .eventsCame: (.nothing, .leaving),
        .foundNothing: (.nothing, .ended), .foundEvents: (.giveBack, .ended),
        .failed: (.nothing, .ended), .timerEarly: (.nothing, .leaving),
        .timerLate: (.nothing, .leaving), .closed: (.nothing, .leaving),
        .inputEnded: (.nothing, .leaving), .refused: (.nothing, .leaving),
        .cutShort: (.nothing, .leaving),
      ]
    ),
    (
      .writing,
      [
        .tailRuns: (.nothing, .writing), .eventsCame: (.nothing, .writing),
        .timerEarly: (.nothing, .writing), .timerLate: (.cutOff, .writing),
        .written: (.markGiven, .ended), .closed: (.giveBack, .ended),
        .inputEnded: (.nothing, .writing), .refused: (.nothing, .writing),
        .cutShort: (.nothing, .writing),
      ]
    ),
  ]

  @Test func `each state and event has the action of the table`() {
    for (state, cells) in Self.group {
      for event in Event.allCases {
        guard let (action, next) = cells[event] else { continue }
        var wait = wait(state)
        #expect(event.happens(to: &wait) == action, "\(state), \(event)")
        #expect(wait.state == next, "\(state), \(event)")
        #expect(wait.isEnded == (next == .ended))
      }
    }
  }

  @Test func `a read of a device's log takes nothing, so nothing is given back`() {
    for state in [Self.asking, Self.stale] {
      for (event, action) in [
        (Event.closed, EventWait.Action.forget), (.refused, .refuse), (.foundEvents, .deliver),
      ] {
        var wait = wait(state, takes: false)
        #expect(event.happens(to: &wait) == action)
        #expect(wait.isEnded)
      }
    }
  }

  @Test func `a device's waiter may have closed its side, for a minute`() {
    for state in [EventWait.State.starting, Self.asking, .resting] {
      var wait = wait(state, takes: false)
      #expect(wait.inputEnded(nowMs: 2_000) == .nothing)
      #expect(wait.state == state)
    }
    var wait = wait(.resting, takes: false)
    _ = wait.inputEnded(nowMs: 2_000)
    #expect(wait.timerAtMs == 62_000)
    #expect(wait.timerFired(nowMs: 61_999) == .nothing)
    #expect(wait.timerFired(nowMs: 62_000) == .answerNothing)
  }

  @Test func `without wait= Redis is asked at once, and nothing is waited for`() {
    var wait = EventWait(takes: true, waitMs: 0)
    #expect(wait.turnCame(nowMs: 1_000) == .ask)
    #expect(!wait.isWaiting)
    #expect(wait.answered(Self.nothing, nowMs: 1_000) == .answerNothing)
  }

  @Test func `its time begins with its turn, and is no shorter than asked for`() {
    var wait = EventWait(takes: true, waitMs: 100)
    #expect(!wait.isWaiting)
    #expect(wait.turnCame(nowMs: 5_000) == .startTail)
    #expect(wait.isWaiting && wait.timerAtMs == 5_101)
    _ = wait.tailRuns(nowMs: 5_001)
    _ = wait.answered(Self.nothing, nowMs: 5_002)
    #expect(wait.timerFired(nowMs: 5_100) == .nothing)
    #expect(wait.timerFired(nowMs: 5_101) == .answerNothing)
  }

  @Test func `events that others hold are asked for again soon, then less often`() {
    var wait = wait(Self.asking)
    var nowMs: Int64 = 1_000
    var pauses: [Int64] = []
    for _ in 0..<8 {
      #expect(wait.answered(Self.blocked, nowMs: nowMs) == .nothing)
      let atMs = wait.timerAtMs ?? 0
      #expect(wait.timerFired(nowMs: atMs - 1) == .nothing)
      #expect(wait.timerFired(nowMs: atMs) == .ask)
      pauses.append(atMs - nowMs)
      nowMs = atMs
    }
    #expect(pauses == [10, 20, 40, 80, 160, 250, 250, 250])
    // Once nothing is held any more it rests until something comes.
    #expect(wait.answered(Self.nothing, nowMs: nowMs) == .nothing)
    #expect(wait.timerAtMs == nowMs + EventWait.askAgainMs)
  }

  @Test func `without wait= events that are being handed over are waited for, for a moment`() {
    var wait = wait(Self.asking, waitMs: 0)
    var nowMs: Int64 = 1_000
    var action = EventWait.Action.nothing
    for _ in 0..<100 where action != .answerNothing {
      action = wait.answered(Self.blocked, nowMs: nowMs)
      guard action == .nothing, let atMs = wait.timerAtMs else { break }
      nowMs = atMs
      action = wait.timerFired(nowMs: nowMs)
    }
    #expect(action == .answerNothing)
    #expect(nowMs == 1_000 + EventWait.blockedMs)
  }

  @Test func `an event whose consumer does not acknowledge it is asked for when it may be given`() {
    var wait = wait(Self.asking)
    _ = wait.answered(.nothing(isBlocked: false, againMs: 70), nowMs: 1_000)
    #expect(wait.timerAtMs == 1_070)
    #expect(wait.timerFired(nowMs: 1_070) == .ask)
  }

  @Test func `late events are returned, and a reply that is not written in time is cut off`() {
    var late = wait(Self.asking)
    #expect(late.answered(.events, nowMs: 3_000) == .giveBackAndAnswerNothing)
    #expect(late.isEnded)
    var slow = wait(.writing)
    #expect(slow.timerAtMs == 3_000)
    #expect(slow.timerFired(nowMs: 2_999) == .nothing)
    #expect(slow.timerFired(nowMs: 3_000) == .cutOff)
    #expect(slow.closed() == .giveBack)
    #expect(EventWait.handOverMs + 1_000 <= EventWait.leaseMs)
  }

  @Test func `a caller that closes its side is asked for once more at most`() {
    var asked = wait(Self.asking)
    _ = asked.inputEnded(nowMs: 1_000)
    #expect(asked.answered(Self.nothing, nowMs: 1_000) == .answerNothing)
    var queued = wait(.queued)
    _ = queued.inputEnded(nowMs: 1_000)
    #expect(queued.turnCame(nowMs: 1_000) == .ask)
    #expect(queued.answered(Self.nothing, nowMs: 1_000) == .answerNothing)
  }

  @Test func `a worker that stops lets no request wait`() {
    var asked = wait(Self.asking)
    _ = asked.cutShort(nowMs: 1_000)
    #expect(asked.answered(Self.blocked, nowMs: 1_000) == .answerNothing)
    var queued = wait(.queued)
    _ = queued.cutShort(nowMs: 1_000)
    #expect(queued.turnCame(nowMs: 1_000) == .ask)
  }
}
