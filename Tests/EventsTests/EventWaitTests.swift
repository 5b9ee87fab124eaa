// Owns: the tests of the states of an EVENTS request: each state with each event that it can get.

import Testing

@testable import Events

struct EventWaitTests {
  /// An event at moment 1,000 by default.
  private enum Event: String, CaseIterable {
    case tailRuns, eventsCame, readBegan, groupEmpty, foundNothing, foundEvents, failed, timerEarly
    case timerLate, written, closed, inputEnded, refused, cutShort

    func happens(to wait: inout EventWait) -> EventWait.Action {
      switch self {
      case .tailRuns: wait.tailRuns(nowMs: 1_000)
      case .eventsCame: wait.eventsCame(nowMs: 1_000)
      case .readBegan: EventWaitTests.began(&wait)
      case .groupEmpty: wait.foundNothing(isHeldUp: false, nowMs: 1_000)
      case .foundNothing: wait.answered(.nothing, nowMs: 1_000)
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

  private static func began(_ wait: inout EventWait) -> EventWait.Action {
    wait.readBegan(nowMs: 1_000)
    return .nothing
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
    if state == .lined { return wait }
    if takes { wait.readBegan(nowMs: 1_000) }
    switch state {
    case .asking(isStale: true): _ = wait.eventsCame(nowMs: 1_000)
    case .resting:
      _ = wait.answered(.nothing, nowMs: 1_000)
      if takes { _ = wait.foundNothing(isHeldUp: false, nowMs: 1_000) }
    case .leaving: _ = wait.closed()
    case .writing: _ = wait.answered(.events, nowMs: 1_000)
    case .queued, .starting, .lined, .asking, .ended: break
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
        .tailRuns: (.join, .lined), .eventsCame: (.nothing, .starting),
        .timerEarly: (.nothing, .starting), .timerLate: (.join, .lined),
        .closed: (.forget, .ended), .inputEnded: (.join, .lined), .refused: (.refuse, .ended),
        .cutShort: (.join, .lined),
      ]
    ),
    (
      .lined,
      [
        .tailRuns: (.nothing, .lined), .eventsCame: (.nothing, .lined),
        .readBegan: (.nothing, asking), .groupEmpty: (.nothing, .resting),
        .timerEarly: (.nothing, .lined), .timerLate: (.nothing, .lined),
        .closed: (.forget, .ended), .inputEnded: (.nothing, .lined), .refused: (.refuse, .ended),
        .cutShort: (.nothing, .lined),
      ]
    ),
    (
      asking,
      [
        .tailRuns: (.nothing, asking), .eventsCame: (.nothing, asking),
        .foundNothing: (.nothing, .lined), .foundEvents: (.deliver, .writing),
        .failed: (.answerError, .ended), .timerEarly: (.nothing, asking),
        .timerLate: (.nothing, asking), .closed: (.forget, .leaving),
        .inputEnded: (.nothing, asking), .refused: (.refuse, .leaving),
        .cutShort: (.nothing, asking),
      ]
    ),
    (
      .resting,
      [
        .tailRuns: (.nothing, .resting), .eventsCame: (.nothing, .resting),
        .readBegan: (.nothing, asking), .groupEmpty: (.nothing, .resting),
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

  /// The same for a device's events, where they differ.
  private static let device: [(EventWait.State, Cells)] = [
    (
      .starting, [.tailRuns: (.ask, asking), .timerLate: (.ask, asking), .cutShort: (.ask, asking)]
    ),
    (asking, [.eventsCame: (.nothing, stale), .foundNothing: (.nothing, .resting)]),
    (
      stale,
      [
        .tailRuns: (.nothing, stale), .eventsCame: (.nothing, stale),
        .foundNothing: (.ask, asking), .failed: (.answerError, .ended),
        .timerLate: (.nothing, stale), .cutShort: (.nothing, stale),
      ]
    ),
    (
      .resting,
      [
        .eventsCame: (.ask, asking), .tailRuns: (.nothing, .resting),
        .timerLate: (.answerNothing, .ended),
      ]
    ),
  ]

  @Test(arguments: [true, false])
  func `each state and event has the action of the table`(takes: Bool) {
    for (state, cells) in takes ? Self.group : Self.device {
      for event in Event.allCases {
        guard let (action, next) = cells[event] else { continue }
        var wait = wait(state, takes: takes)
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

  @Test func `without wait= the group is read at once, and nothing is waited for`() {
    var wait = EventWait(takes: true, waitMs: 0)
    #expect(wait.turnCame(nowMs: 1_000) == .join)
    #expect(!wait.isWaiting && wait.isBrief)
    #expect(wait.foundNothing(isHeldUp: false, nowMs: 1_000) == .answerNothing)
  }

  @Test(arguments: [true, false])
  func `its time begins with its turn, and is no shorter than asked for`(takes: Bool) {
    var wait = EventWait(takes: takes, waitMs: 100)
    #expect(!wait.isWaiting)
    #expect(wait.turnCame(nowMs: 5_000) == .startTail)
    #expect(wait.isWaiting && wait.timerAtMs == 5_101)
    _ = wait.tailRuns(nowMs: 5_001)
    if takes {
      _ = wait.foundNothing(isHeldUp: false, nowMs: 5_002)
    } else {
      _ = wait.answered(.nothing, nowMs: 5_002)
    }
    #expect(wait.timerFired(nowMs: 5_100) == .nothing)
    #expect(wait.timerFired(nowMs: 5_101) == .answerNothing)
  }

  @Test func `without wait= events that are being handed over are waited for, for a moment`() {
    var wait = wait(.lined, waitMs: 0)
    #expect(wait.foundNothing(isHeldUp: true, nowMs: 1_000) == .nothing)
    #expect(wait.awaitsRelease(nowMs: 1_000) && wait.timerAtMs == 1_000 + EventWait.blockedMs)
    var released = wait
    #expect(released.foundNothing(isHeldUp: false, nowMs: 1_010) == .answerNothing)
    #expect(wait.foundNothing(isHeldUp: true, nowMs: 1_099) == .nothing)
    #expect(wait.timerFired(nowMs: 1_100) == .answerNothing)
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
    #expect(asked.answered(.nothing, nowMs: 1_000) == .nothing)
    #expect(asked.foundNothing(isHeldUp: false, nowMs: 1_000) == .answerNothing)
    var queued = wait(.queued)
    _ = queued.inputEnded(nowMs: 1_000)
    #expect(queued.turnCame(nowMs: 1_000) == .join)
    #expect(queued.foundNothing(isHeldUp: false, nowMs: 1_000) == .answerNothing)
  }

  @Test func `a worker that stops lets no request wait`() {
    var asked = wait(Self.asking)
    _ = asked.cutShort(nowMs: 1_000)
    _ = asked.answered(.nothing, nowMs: 1_000)
    #expect(asked.foundNothing(isHeldUp: true, nowMs: 1_000) == .answerNothing)
    var queued = wait(.queued)
    _ = queued.cutShort(nowMs: 1_000)
    #expect(queued.turnCame(nowMs: 1_000) == .join)
  }
}
