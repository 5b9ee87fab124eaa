// Owns: the tests that the checker catches each broken promise about sessions, their clocks, chats
// and lists by its name, and accepts each history that unknown outcomes can explain.

import Testing

@testable import Load

extension LoadCall {
  fileprivate static var recover: LoadCall {
    var call = LoadCall(.recover)
    call.clocks = ShortClocks(idleMs: 5_000, abandonMs: 10_000, archiveMs: 5_000)
    return call
  }

  fileprivate static var fill: LoadCall {
    var call = LoadCall(.open)
    call.isOfUser = true
    call.clocks = ShortClocks(idleMs: 5_000, abandonMs: 10_000, archiveMs: 5_000)
    return call
  }

  fileprivate static var listGone: LoadCall {
    var call = LoadCall(.list)
    call.isDeleted = true
    return call
  }
}

extension LoadOutcome {
  /// A session with its latest activity at a moment.
  fileprivate static func session(_ id: String = "S", at ms: Int64) -> LoadOutcome {
    .session(ShownSession(session: id, activeAtMs: Story.epochMs + ms))
  }

  fileprivate static func touched(_ ms: Int64) -> LoadOutcome {
    .touched(atMs: Story.epochMs + ms)
  }
}

extension LockEvent {
  /// `number` is the event's place in its log.
  fileprivate static func of(
    _ kind: Kind, _ number: Int, at ms: Int64, idle: Bool = false, session: String = "S"
  ) -> LockEvent {
    LockEvent(
      id: "0a3-1-\(number)", kind: kind, atMs: Story.epochMs + ms, session: session, isIdle: idle)
  }
}

struct PlantedSessionBugTests {
  /// A session with a message, two chats and a link, which is paused, resumed, paused by its clock,
  /// recovered, paused, abandoned and archived by its clocks, and deleted.
  static let good: [Sight] = [
    /* 0 */ .call(.recover, 0, 4, .session(at: 2)),
    /* 1 */ .call(LoadCall(.touch), 10, 14, .touched(12)),
    /* 2 */ .call(.say(1, 0, 0), 20, 24, .said(seq: 1)),
    /* 3 */ .call(LoadCall(.chat), 30, 34, .chatAdded(2)),
    /* 4 */ .call(LoadCall(.chat), 35, 38, .overQuota(limit: 2)),
    /* 5 */ .call(LoadCall(.link), 40, 44, .done),
    /* 6 */ .call(LoadCall(.list), 45, 48, .listed(["S"])),
    /* 7 */ .call(LoadCall(.pause), 50, 54, .session(at: 32)),
    /* 8 */ .event(.of(.sessionPaused, 10, at: 52), 55),
    /* 9 */ .call(LoadCall(.resume), 60, 64, .session(at: 62)),
    /* 10 */ .event(.of(.sessionResumed, 20, at: 62), 65),
    /* 11 */ .event(.of(.sessionPaused, 30, at: 5_062, idle: true), 5_070),
    /* 12 */ .call(.recover, 6_000, 6_004, .session(at: 6_002)),
    /* 13 */ .event(.of(.sessionRecovered, 40, at: 6_002), 6_005),
    /* 14 */ .event(.of(.sessionPaused, 50, at: 11_002, idle: true), 11_010),
    /* 15 */ .event(.of(.sessionAbandoned, 60, at: 16_002), 16_010),
    /* 16 */ .call(LoadCall(.touch), 17_000, 17_004, .wrongState),
    /* 17 */ .event(.of(.sessionArchived, 70, at: 21_002), 21_010),
    /* 18 */ .call(.listGone, 22_000, 22_004, .listed([])),
    /* 19 */ .verdict(30_000),
  ]

  @Test func `a good history of a session is called good`() {
    let violation = Story(sights: Self.good).verdict()
    #expect(violation == nil, "\(String(describing: violation))")
  }

  static let bugs: [Planted] = [
    Planted(
      "an idle clock ends too early", .clockTooEarly, at: 11,
      .event(.of(.sessionPaused, 30, at: 5_000, idle: true), 5_070)),
    Planted(
      "an abandon clock forgets the recovery", .clockTooEarly, at: 15,
      .event(.of(.sessionAbandoned, 60, at: 11_500), 16_010)),
    Planted(
      "an archive clock ends too early", .clockTooEarly, at: 17,
      .event(.of(.sessionArchived, 70, at: 20_000), 21_010)),
    Planted("activity is forgotten after its clock has ended", .clockTooEarly) {
      $0[11] = .event(.of(.sessionPaused, 30, at: 5_062, idle: true), 5_070)
      $0[12] = .call(.recover, 6_000, 6_004, .session(at: 5_000))
    },
    Planted("a change has two events", .wrongTransition) {
      $0.insert(.event(.of(.sessionRecovered, 45, at: 6_002), 6_006), at: 14)
    },
    Planted("a change has no event", .wrongTransition) { $0.remove(at: 13) },
    Planted("an archived session is paused", .wrongTransition) {
      $0.insert(.event(.of(.sessionPaused, 80, at: 27_000, idle: true), 27_001), at: 18)
    },
    Planted(
      "a life that is off ends", .wrongTransition, at: 15,
      .event(.of(.sessionExpired, 60, at: 16_002), 16_010)),
    Planted("the last clock has no event", .notReported) { $0.remove(at: 17) },
    Planted("a PAUSE has no event", .notReported) {
      $0.removeSubrange(7...10)
      $0.insert(.call(LoadCall(.pause), 50, 54, .session(at: 32)), at: 7)
    },
    Planted("an event says that a caller has paused, and none has", .unexplainedEvent) {
      $0.remove(at: 7)
    },
    Planted(
      "an abandoned session is touched", .deadSessionAccepted, at: 16,
      .call(LoadCall(.touch), 17_000, 17_004, .touched(17_002))),
    Planted(
      "a live session is refused", .liveSessionRefused, at: 2,
      .call(.say(1, 0, 0), 20, 24, .wrongState)),
    Planted(
      "another session is recovered", .sessionLost, at: 12,
      .call(.recover, 6_000, 6_004, .session("T", at: 6_002))),
    Planted(
      "a session is gone", .sessionLost, at: 1, .call(LoadCall(.touch), 10, 14, .none)),
    Planted(
      "a chat's number comes again", .chatNumberReused, at: 3,
      .call(LoadCall(.chat), 30, 34, .chatAdded(1))),
    Planted(
      "a quota is refused early", .quotaWrong, at: 4,
      .call(LoadCall(.chat), 35, 38, .overQuota(limit: 5))),
    Planted("a user's quota is refused early", .quotaWrong) {
      $0.insert(.call(.fill, 39, 40, .done), at: 5)
      $0.insert(.call(.fill, 39, 40, .overQuota(limit: 2)), at: 6)
    },
    Planted("a user's quota is exceeded", .quotaWrong) {
      $0.insert(.call(.fill, 39, 40, .done), at: 5)
      $0.insert(.call(.fill, 39, 40, .overQuota(limit: 1)), at: 6)
      $0.insert(.call(.fill, 39, 40, .done), at: 7)
    },
    Planted("a quota is exceeded", .quotaWrong) {
      $0.insert(.call(LoadCall(.chat), 38, 39, .chatAdded(3)), at: 5)
    },
    Planted("a quota is refused late", .quotaWrong) {
      $0.insert(.call(LoadCall(.chat), 34, 35, .chatAdded(3)), at: 4)
    },
    Planted(
      "a linked session is not listed", .listWrong, at: 6,
      .call(LoadCall(.list), 45, 48, .listed([]))),
    Planted(
      "another session is listed", .listWrong, at: 6,
      .call(LoadCall(.list), 45, 48, .listed(["S", "T"]))),
    Planted(
      "a deleted session is listed", .listWrong, at: 18,
      .call(.listGone, 22_000, 22_004, .listed(["S"]))),
    Planted("one watch gets an event of a session twice", .reportedTwice) {
      $0.insert($0[15], at: 16)
    },
  ]

  @Test(arguments: bugs) func `a bug is caught by its name`(bug: Planted) {
    var sights = Self.good
    bug.change(&sights)
    let violation = Story(sights: sights).verdict()
    #expect(violation?.rule == bug.rule, "\(String(describing: violation))")
  }

  private static let ending: [Sight] = [
    .event(.of(.sessionAbandoned, 80, at: 14_005), 14_010),
    .event(.of(.sessionArchived, 90, at: 19_005), 19_010), .verdict(40_000),
  ]

  private static let explained: [(String, [Sight])] = [
    (
      "a TOUCH whose answer is lost moves the clocks",
      [
        .call(.recover, 0, 4, .session(at: 2)),
        .call(LoadCall(.touch), 4_000, 4_010, .unknown),
        .event(.of(.sessionPaused, 10, at: 9_005, idle: true), 9_010),
      ] + ending
    ),
    (
      "a PAUSE whose answer is lost, which was done after all",
      [
        .call(.recover, 0, 4, .session(at: 2)),
        .call(LoadCall(.touch), 4_000, 4_010, .touched(4_005)),
        .call(LoadCall(.pause), 4_020, 4_030, .unknown),
        .event(.of(.sessionPaused, 10, at: 4_025), 4_040),
      ] + ending
    ),
    (
      "an event comes before the reply which names its session",
      [
        .begin("recover", .recover, 0),
        .event(.of(.sessionPaused, 10, at: 5_002, idle: true), 5_010),
        .end("recover", 5_020, .session(at: 2)),
        .call(.recover, 5_030, 5_034, .session(at: 5_032)),
        .event(.of(.sessionRecovered, 20, at: 5_032), 5_036),
        .call(LoadCall(.close), 5_040, 5_044, .done), .verdict(40_000),
      ]
    ),
    (
      "a user's sessions that have ended make room, and one may be of an unknown call",
      [
        .call(.recover, 0, 4, .session(at: 2)), .call(.fill, 10, 14, .done),
        .call(.fill, 15, 18, .unknown), .call(.fill, 20, 24, .overQuota(limit: 2)),
        .call(.fill, 12_000, 12_004, .done), .call(.fill, 12_005, 12_010, .done),
        .call(LoadCall(.close), 12_020, 12_024, .wrongState),
      ]
    ),
    (
      "an abandoned session is linked",
      [
        .call(.recover, 0, 4, .session(at: 2)),
        .event(.of(.sessionPaused, 10, at: 5_002, idle: true), 5_010),
        .event(.of(.sessionAbandoned, 20, at: 10_002), 10_010),
        .call(LoadCall(.link), 12_000, 12_004, .done),
        .event(.of(.sessionArchived, 30, at: 15_002), 15_010), .verdict(40_000),
      ]
    ),
    (
      "a session that was archived is followed by another",
      [
        .call(.recover, 0, 4, .session(at: 2)),
        .event(.of(.sessionPaused, 10, at: 5_002, idle: true), 5_010),
        .event(.of(.sessionAbandoned, 20, at: 10_002), 10_010),
        .event(.of(.sessionArchived, 30, at: 15_002), 15_010),
        .call(.recover, 16_000, 16_004, .session("T", at: 16_002)),
        .event(.of(.sessionPaused, 40, at: 21_002, idle: true, session: "T"), 21_010),
        .verdict(40_000),
      ]
    ),
    (
      "events of the log come before those that a subscription has missed",
      [
        .call(.recover, 0, 4, .session(at: 2)),
        .event(.of(.sessionAbandoned, 20, at: 10_002), 10_010, watch: 0),
        .event(.of(.sessionPaused, 10, at: 5_002, idle: true), 10_011, watch: 0),
        .event(.of(.sessionArchived, 30, at: 15_002), 15_010), .verdict(40_000),
      ]
    ),
  ]

  @Test(arguments: explained.indices) func `an explicable history is no violation`(index: Int) {
    let (name, sights) = Self.explained[index]
    let violation = Story(sights: sights).verdict()
    #expect(violation == nil, "\(name): \(String(describing: violation))")
  }
}
