// Owns: the tests of the checker itself: histories written by hand, correct ones and ones with one
// fault, which the checker has to find and name.

import Testing

/// A history that is written line by line; times are in ms after some moment.
private struct Scenario {
  static let start = 1_800_000_000_000
  var calls: [CallRecord] = []
  var events: [EventRecord] = []

  /// A call from one moment to another.
  mutating func call(
    _ verb: Change, _ agent: String, _ from: Int, _ to: Int, ttlMs: Int = 100, token: Int? = nil,
    receiver: String? = nil, req: String? = nil, _ outcome: CallOutcome
  ) {
    calls.append(
      CallRecord(
        number: calls.count, req: req, verb: verb, device: "d", agent: agent, receiver: receiver,
        token: token, ttlMs: ttlMs, invokedUs: (Scenario.start + from) * 1_000,
        returnedUs: (Scenario.start + to) * 1_000, outcome: outcome))
  }

  /// A LOCK that was granted at a moment, with its reply a millisecond after it.
  mutating func granted(_ agent: String, _ at: Int, token: Int, ttlMs: Int = 100) {
    call(.lock, agent, at - 1, at + 1, ttlMs: ttlMs, Scenario.granted(agent, at, token))
  }

  /// A RENEW that was acknowledged.
  mutating func renewed(
    _ agent: String, _ from: Int, _ to: Int, token: Int, acquired: Int, ttlMs: Int = 100
  ) {
    call(
      .renew, agent, from, to, ttlMs: ttlMs, token: token,
      .ok(
        .init(agent: agent, token: token, acquiredAt: Scenario.start + acquired, renewed: true)))
  }

  /// An UNLOCK that was acknowledged.
  mutating func released(_ agent: String, _ at: Int, token: Int?, heldMs: Int) {
    call(.unlock, agent, at - 1, at + 1, token: token, .ok(.init(heldMs: heldMs)))
  }

  static func granted(_ agent: String, _ at: Int, _ token: Int) -> CallOutcome {
    .ok(.init(agent: agent, token: token, acquiredAt: start + at, renewed: false))
  }

  /// An event that was written `late` ms after it became true.
  mutating func event(
    _ type: String, _ agent: String, at: Int, token: Int, heldMs: Int, to receiver: String? = nil,
    late: Int = 2
  ) throws {
    let place = "\(Scenario.start + at + late)-\(events.count)"
    var members: [String: Any] = [
      "id": "000-\(place)", "type": type, "device": "d", "at": Scenario.start + at, "agent": agent,
      "token": token, "held_ms": heldMs,
    ]
    members["to"] = receiver
    events.append(try EventRecord(members))
  }

  func rules(nothingIsLive: Bool = true) -> [HistoryViolation.Rule] {
    Checker.violations(calls, events, nothingIsLive: nothingIsLive).map(\.rule)
  }
}

extension SystemSuites.Deadlines {
  @Suite struct CheckerOnPaper {
    /// Every way in which a token can end, once.
    @Test func `a history in order has no violations`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      scenario.granted("b", 110, token: 2)
      scenario.renewed("b", 150, 152, token: 2, acquired: 110)
      scenario.released("b", 170, token: 2, heldMs: 60)
      scenario.granted("a", 180, token: 3)
      scenario.call(.handoff, "a", 190, 195, receiver: "b", Scenario.granted("b", 193, 4))
      try scenario.event("lock.handed_off", "a", at: 193, token: 3, heldMs: 13, to: "b", late: 0)
      var seized = CallOutcome.Confirmed(
        agent: "c", token: 5, acquiredAt: Scenario.start + 200, renewed: false)
      seized.seizedFrom = "b"
      scenario.call(.seize, "c", 199, 201, .ok(seized))
      try scenario.event("lock.seized", "b", at: 200, token: 4, heldMs: 7, to: "c", late: 0)
      scenario.call(.lock, "a", 202, 203, .fail)
      scenario.call(.clear, "", 209, 211, .ok(.init(agent: "c", heldMs: 10)))
      try scenario.event("lock.cleared", "c", at: 210, token: 5, heldMs: 10, late: 0)
      #expect(scenario.rules() == [])
    }

    @Test func `an agent that seizes from itself ends its token without an event`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      var seized = CallOutcome.Confirmed(
        agent: "a", token: 2, acquiredAt: Scenario.start + 100, renewed: false)
      seized.seizedFrom = "a"
      scenario.call(.seize, "a", 99, 101, .ok(seized))
      scenario.released("a", 120, token: 2, heldMs: 20)
      #expect(scenario.rules() == [])
      // Another one's token has an event.
      seized.seizedFrom = "b"
      scenario = Scenario()
      scenario.granted("b", 10, token: 1)
      scenario.call(.seize, "a", 99, 101, .ok(seized))
      scenario.released("a", 120, token: 2, heldMs: 20)
      #expect(scenario.rules() == [.endingMissing, .endingMissing])
    }

    @Test func `a token without an ending is missing one`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      #expect(scenario.rules() == [.endingMissing])
      #expect(scenario.rules(nothingIsLive: false) == [])
      // The next grant shows that it is over.
      scenario.granted("b", 200, token: 2)
      #expect(scenario.rules(nothingIsLive: false) == [.endingMissing])
    }

    @Test func `a change without an event is missing an ending`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.call(.handoff, "a", 20, 22, receiver: "b", Scenario.granted("b", 21, 2))
      #expect(scenario.rules(nothingIsLive: false) == [.endingMissing, .endingMissing])
    }

    @Test func `an abandonment with two events has ended twice`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      #expect(scenario.rules() == [.endedTwice])
    }

    @Test func `a released lock is not abandoned`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.released("a", 50, token: 1, heldMs: 40)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      #expect(scenario.rules() == [.abandonedAfterRelease])
    }

    @Test func `a lock that was released twice has ended twice`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.released("a", 50, token: 1, heldMs: 40)
      scenario.released("a", 60, token: 1, heldMs: 50)
      #expect(scenario.rules() == [.endedTwice])
    }

    @Test func `a lock is not abandoned before its deadline`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 109, token: 1, heldMs: 99)
      #expect(scenario.rules() == [.abandonedEarly])
    }

    @Test func `an abandonment is not reported before its deadline`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100, late: -1)
      #expect(scenario.rules() == [.abandonedEarly])
    }

    @Test func `the deadline is that of the last renewal`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.renewed("a", 50, 60, token: 1, acquired: 10)
      var early = scenario
      try early.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      #expect(early.rules() == [.abandonedEarly])
      var late = scenario
      try late.event("lock.abandoned", "a", at: 161, token: 1, heldMs: 151)
      #expect(late.rules() == [.wrongDeadline])
      for at in [150, 160] {
        var right = scenario
        try right.event("lock.abandoned", "a", at: at, token: 1, heldMs: at - 10)
        #expect(right.rules() == [])
      }
      // Two renewals at the same time: either may have been the last one.
      scenario.renewed("a", 55, 58, token: 1, acquired: 10, ttlMs: 500)
      try scenario.event("lock.abandoned", "a", at: 155, token: 1, heldMs: 145)
      #expect(scenario.rules() == [])
    }

    @Test func `a renewal of unknown outcome may have moved the deadline`() throws {
      for at in [110, 150, 170] {
        var scenario = Scenario()
        scenario.granted("a", 10, token: 1)
        scenario.call(.renew, "a", 50, 500, token: 1, .unknown)
        try scenario.event("lock.abandoned", "a", at: at, token: 1, heldMs: at - 10)
        #expect(scenario.rules() == [])
      }
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.call(.renew, "a", 50, 500, token: 1, .unknown)
      try scenario.event("lock.abandoned", "a", at: 140, token: 1, heldMs: 130)
      #expect(scenario.rules() == [.wrongDeadline])
    }

    @Test func `a time-out that counts as a failure leaves a token that was never granted`() throws
    {
      for (outcome, rules) in [
        (CallOutcome.unknown, []), (.fail, [.unknownToken]),
      ] as [(CallOutcome, [HistoryViolation.Rule])] {
        var scenario = Scenario()
        scenario.call(.lock, "a", 10, 510, outcome)
        try scenario.event("lock.abandoned", "a", at: 111, token: 1, heldMs: 100)
        #expect(scenario.rules() == rules)
      }
      // The same for a release: if it has failed, the lock must have been abandoned.
      for (outcome, rules) in [
        (CallOutcome.unknown, []), (.fail, [.endingMissing]),
      ] as [(CallOutcome, [HistoryViolation.Rule])] {
        var scenario = Scenario()
        scenario.granted("a", 10, token: 1)
        scenario.call(.unlock, "a", 50, 550, token: 1, outcome)
        #expect(scenario.rules() == rules)
      }
    }

    @Test func `a call of unknown outcome explains one token and no more`() throws {
      var scenario = Scenario()
      scenario.call(.lock, "a", 10, 510, .unknown)
      try scenario.event("lock.abandoned", "a", at: 111, token: 1, heldMs: 100)
      try scenario.event("lock.abandoned", "a", at: 311, token: 2, heldMs: 100)
      #expect(scenario.rules() == [.unknownToken])
    }

    @Test func `an event names the holder and how long it held`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "b", at: 110, token: 1, heldMs: 99)
      #expect(Set(scenario.rules()) == [.wrongAgent, .wrongHeldMs])
    }

    @Test func `tokens are unique and grow`() throws {
      var reused = Scenario()
      reused.granted("a", 10, token: 1)
      reused.released("a", 20, token: 1, heldMs: 10)
      reused.granted("b", 30, token: 1)
      #expect(reused.rules(nothingIsLive: false).contains(.tokenReused))
      var falling = Scenario()
      falling.granted("a", 10, token: 2)
      falling.released("a", 20, token: 2, heldMs: 10)
      falling.granted("b", 30, token: 1)
      #expect(falling.rules(nothingIsLive: false).contains(.tokenNotGrowing))
    }

    @Test func `grants of a device do not overlap`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      scenario.granted("b", 109, token: 2)
      #expect(scenario.rules(nothingIsLive: false) == [.grantsOverlap])
    }

    @Test func `only the holder releases`() throws {
      var byToken = Scenario()
      byToken.granted("a", 10, token: 1)
      byToken.released("b", 50, token: 1, heldMs: 40)
      #expect(byToken.rules() == [.releasedByOther])
      var blind = Scenario()
      blind.granted("a", 10, token: 1)
      blind.released("b", 50, token: nil, heldMs: 40)
      #expect(Set(blind.rules()) == [.releasedByOther, .endingMissing])
    }

    @Test func `a seizure from oneself may end a grant that no caller has seen`() throws {
      for (outcome, rules) in [
        (CallOutcome.unknown, []), (.fail, [HistoryViolation.Rule.releasedByOther]),
      ] {
        var scenario = Scenario()
        scenario.granted("a", 10, token: 1)
        scenario.released("a", 20, token: nil, heldMs: 10)
        scenario.call(.lock, "b", 25, 30, outcome)
        var seized = CallOutcome.Confirmed(
          agent: "b", token: 3, acquiredAt: Scenario.start + 40, renewed: false)
        seized.seizedFrom = "b"
        scenario.call(.seize, "b", 39, 41, .ok(seized))
        scenario.released("b", 50, token: 3, heldMs: 10)
        #expect(Set(scenario.rules()) == Set(rules))
      }
    }

    @Test func `a release without a token is known by how long it was held`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.released("a", 50, token: nil, heldMs: 40)
      #expect(scenario.rules() == [])
    }

    @Test func `releases without a token that look alike each get one`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      scenario.granted("a", 21, token: 2)
      // The first can mean either, the second only one of them.
      scenario.call(.unlock, "a", 15, 40, .ok(.init(heldMs: 10)))
      scenario.call(.unlock, "a", 15, 25, .ok(.init(heldMs: 10)))
      #expect(scenario.rules() == [])
      scenario.released("a", 31, token: 2, heldMs: 10)
      #expect(scenario.rules() == [.releasedByOther])
      // A lock that was over when the next one was granted cannot be released.
      var late = Scenario()
      late.granted("a", 10, token: 1)
      late.granted("b", 15, token: 2)
      late.call(.unlock, "a", 16, 25, .ok(.init(heldMs: 10)))
      #expect(Set(late.rules(nothingIsLive: false)) == [.releasedByOther, .endingMissing])
    }

    @Test func `an event that no call can have made is not explained`() throws {
      for (type, verb) in [
        ("lock.cleared", Change.clear), ("lock.handed_off", .handoff), ("lock.seized", .seize),
      ] {
        for (outcome, isExplained) in [(CallOutcome.unknown, true), (.fail, false)] {
          var scenario = Scenario()
          scenario.granted("a", 10, token: 1)
          let actor = verb == .seize ? "b" : "a"
          scenario.call(verb, actor, 20, 30, receiver: "b", outcome)
          try scenario.event(type, "a", at: 25, token: 1, heldMs: 15, to: "b")
          #expect(scenario.rules() == (isExplained ? [] : [.unexplainedEvent]), "\(type)")
        }
      }
    }

    @Test func `the log gives each entry once and in order`() throws {
      var scenario = Scenario()
      scenario.granted("a", 10, token: 1)
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      scenario.events += scenario.events
      #expect(Set(scenario.rules()) == [.logOutOfOrder, .endedTwice])
    }

    @Test func `all tries with one request id are one call`() throws {
      var scenario = Scenario()
      scenario.call(.lock, "a", 9, 500, req: "r", .unknown)
      scenario.call(.lock, "a", 501, 502, req: "r", Scenario.granted("a", 10, 1))
      try scenario.event("lock.abandoned", "a", at: 110, token: 1, heldMs: 100)
      #expect(scenario.rules() == [])
      scenario.call(.lock, "a", 600, 602, req: "r", Scenario.granted("a", 601, 2))
      #expect(scenario.rules(nothingIsLive: false).contains(.contradiction))
    }
  }
}
