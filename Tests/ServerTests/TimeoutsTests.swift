// Owns: the tests of callers' timeouts, of a drain's course, and of the work at a turn's end.

import Testing

@testable import Server
@testable import Settings
@testable import Store

struct TimeoutsTests {
  private static func timeouts(
    unread: Int64 = 10, line: Int64 = 20, auth: Int64 = 30, idle: Int64 = 40
  ) -> Timeouts {
    var settings = Settings()
    settings.unreadTimeoutMs = unread
    settings.lineTimeoutMs = line
    settings.authTimeoutMs = auth
    settings.idleTimeoutMs = idle
    return Timeouts(settings)
  }

  static let cells: [(waits: ConnectionWaits, limitMs: Int64, timeout: Timeout)] = [
    (ConnectionWaits(unreadSinceMs: 100, askedAtMs: 100), 10, .unread),
    (ConnectionWaits(unreadSinceMs: 100, askedAtMs: 100, isEnding: true), 10, .unread),
    (ConnectionWaits(lineSinceMs: 100, askedAtMs: 100), 20, .line),
    (ConnectionWaits(unknownSinceMs: 100, askedAtMs: 100), 30, .auth),
    (ConnectionWaits(askedAtMs: 100), 40, .idle),
  ]

  @Test(arguments: cells)
  func `each time-out is over at its limit and not 1 ms before`(
    cell: (waits: ConnectionWaits, limitMs: Int64, timeout: Timeout)
  ) {
    let timeouts = Self.timeouts()
    #expect(timeouts.over(cell.waits, nowMs: 99 + cell.limitMs) == nil)
    #expect(timeouts.over(cell.waits, nowMs: 100 + cell.limitMs) == cell.timeout)
  }

  @Test func `a time-out of 0 is none`() {
    let never = Self.timeouts(unread: 0, line: 0, auth: 0, idle: 0)
    for cell in Self.cells { #expect(never.over(cell.waits, nowMs: 1 << 40) == nil) }
  }

  @Test func `one that is busy is not idle, and one that is ending waits for its reader only`() {
    let timeouts = Self.timeouts()
    #expect(timeouts.over(ConnectionWaits(isQuiet: false), nowMs: 1_000) == nil)
    let ending = ConnectionWaits(lineSinceMs: 0, unknownSinceMs: 0, isEnding: true)
    #expect(timeouts.over(ending, nowMs: 1_000) == nil)
  }

  @Test(
    arguments: [
      ([0, 0, 0, 0], 1_000), ([40, 0, 0, 0], 20), ([4_000, 800, 0, 90_000], 200),
      ([60_000, 60_000, 60_000, 60_000], 1_000),
    ] as [([Int64], Int64)])
  func `connections are looked at a few times within the shortest time`(
    limits: [Int64], everyMs: Int64
  ) {
    let timeouts = Self.timeouts(
      unread: limits[0], line: limits[1], auth: limits[2], idle: limits[3])
    #expect(timeouts.everyMs == everyMs)
  }
}

struct DrainTests {
  private let drain = Drain(startedMs: 1_000, graceMs: 5_000, replyMs: 500)

  @Test func `a quiet connection is finished once it has been quiet for a while`() {
    let activity = ConnectionActivity(isQuiet: true, activeAtMs: 1_500)
    #expect(drain.verdict(activity, nowMs: 1_599) == .stays)
    #expect(drain.verdict(activity, nowMs: 1_600) == .finish)
  }

  @Test func `a connection that must leave is finished as soon as it is quiet`() {
    var activity = ConnectionActivity(isQuiet: false, activeAtMs: 1_500, hasDrainNotice: true)
    #expect(drain.verdict(activity, nowMs: 1_500) == .stays)
    activity.isQuiet = true
    #expect(drain.verdict(activity, nowMs: 1_500) == .finish)
  }

  @Test func `a connection without a request has time for its first one`() {
    let activity = ConnectionActivity(isQuiet: true, activeAtMs: 1_500, hasAsked: false)
    #expect(drain.verdict(activity, nowMs: 2_499) == .stays)
    #expect(drain.verdict(activity, nowMs: 2_500) == .finish)
  }

  @Test func `a caller that goes on asking is dismissed in a pause, or when requests are shed`() {
    var activity = ConnectionActivity(isQuiet: true, activeAtMs: 1_500, asksOn: true)
    #expect(drain.verdict(activity, nowMs: 1_999) == .stays)
    #expect(drain.verdict(activity, nowMs: 2_000) == .dismiss)
    activity.activeAtMs = 5_499
    #expect(drain.verdict(activity, nowMs: 5_499) == .stays)
    #expect(drain.verdict(activity, nowMs: 5_500) == .dismiss)
    activity.isQuiet = false
    #expect(drain.verdict(activity, nowMs: 5_500) == .stays)
    activity = ConnectionActivity(isQuiet: true, hasDrainNotice: true, asksOn: true)
    #expect(drain.verdict(activity, nowMs: 5_500) == .finish, "it knows already")
  }

  @Test func `connections left at the end of the grace are cut off`() {
    let busy = ConnectionActivity(isQuiet: false, activeAtMs: 5_999)
    #expect(drain.verdict(busy, nowMs: 5_999) == .stays)
    #expect(drain.verdict(busy, nowMs: 6_000) == .cutOff)
  }

  @Test func `requests that are with Redis at the end of the grace are answered`() {
    var activity = ConnectionActivity(isQuiet: false, awaitsReplies: true, activeAtMs: 5_999)
    #expect(drain.verdict(activity, nowMs: 6_000) == .finish)
    #expect(drain.verdict(activity, nowMs: 6_499) == .finish)
    #expect(drain.verdict(activity, nowMs: 6_500) == .cutOff)
    activity.asksOn = true
    #expect(drain.verdict(activity, nowMs: 6_000) == .dismiss)
    activity.isLingering = true
    #expect(drain.verdict(activity, nowMs: 6_000) == .stays, "it has a time of its own")
  }

  @Test func `requests are shed in the last part of the grace`() {
    #expect(!drain.isShedding(nowMs: 5_499))
    #expect(drain.isShedding(nowMs: 5_500))
    // A short grace is halved.
    let short = Drain(startedMs: 0, graceMs: 400, replyMs: 500)
    #expect(!short.isShedding(nowMs: 199))
    #expect(short.isShedding(nowMs: 200))
    #expect(Drain(startedMs: 0, graceMs: 0, replyMs: 500).isShedding(nowMs: 0))
  }
}

struct LingeringTests {
  private func id(_ place: UInt32) -> ConnectionID { ConnectionID(place: place, generation: 0) }

  private func expectTaken(
    from lingering: inout Lingering, nowMs: Int64, _ wanted: [ConnectionID],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var found: [ConnectionID] = []
    while let id = lingering.takeDue(nowMs: nowMs) { found.append(id) }
    #expect(found == wanted, sourceLocation: sourceLocation)
  }

  @Test func `connections that timed out are given in order, each once`() {
    var lingering = Lingering()
    expectTaken(from: &lingering, nowMs: .max, [])
    #expect(lingering.nextMs == nil)
    lingering.add(id(1), untilMs: 10)
    lingering.add(id(2), untilMs: 20)
    #expect(lingering.nextMs == 10)
    expectTaken(from: &lingering, nowMs: 9, [])
    expectTaken(from: &lingering, nowMs: 10, [id(1)])
    #expect(lingering.nextMs == 20)
  }

  @Test func `a stopping worker waits no longer than its own time`() {
    var lingering = Lingering()
    lingering.add(id(1), untilMs: 10)
    lingering.add(id(2), untilMs: 2_000)
    lingering.hurry(untilMs: 500)
    expectTaken(from: &lingering, nowMs: 500, [id(1), id(2)])
  }
}

struct AdmissionTests {
  @Test func `as many as may be are waited for, and not one more`() {
    var admission = Admission()
    let waited = (0..<Admission.refusedMax).map { _ in admission.refused() }
    #expect(!waited.contains(true))
    let isOneTooMany = admission.refused()
    #expect(isOneTooMany)
    admission.refusedLeft()
    admission.refusedLeft()
    #expect(admission.refusedNow == Admission.refusedMax - 1)
    let isAgain = admission.refused()
    #expect(!isAgain)
  }

  @Test func `small buffers are used again and large ones are not`() {
    var pool = BufferPool()
    var small: [UInt8] = [1, 2, 3]
    small.reserveCapacity(100)
    pool.giveBack(&small)
    #expect(small.capacity == 0)
    let again = pool.take()
    #expect(again.isEmpty && again.capacity >= 100)
    var large: [UInt8] = []
    large.reserveCapacity(1 << 15)
    pool.giveBack(&large)
    let new = pool.take()
    #expect(large.capacity == 0 && new.capacity == 0)
  }
}
