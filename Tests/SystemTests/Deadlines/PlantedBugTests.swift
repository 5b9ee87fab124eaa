// Owns: the tests that the checker catches bugs: the real binary with one bug planted in its
// scripts, under a chaos workload.

import Foundation
import Testing

extension PlantedBug {
  /// The line that begins the function which writes an event.
  private static let publish = "local function publish(base, kind, device, body, users)"

  /// None: the same run must pass.
  static let none = PlantedBug("none", [])

  /// Each abandonment has two events.
  static let writtenTwice = PlantedBug(
    "abandoned written twice",
    [
      Change(
        within: "", find: publish,
        replacement: """
          local function publish(base, kind, device, body, users, again)
            if kind == 'lock.abandoned' and not again then
              publish(base, kind, device, body, users, true)
            end
          """)
    ])

  /// Every other abandonment has no event.
  static let notWritten = PlantedBug(
    "abandoned not written",
    [
      Change(
        within: "", find: publish,
        replacement: """
          \(publish)
            if kind == 'lock.abandoned' and call('HINCRBY', 'lk:planted', 'n', 1) % 2 == 1 then
              return
            end
          """)
    ])

  /// UNLOCK releases the lock for every agent.
  static let anyAgentReleases = PlantedBug(
    "release without owner check",
    [
      Change(
        within: "'released'",
        find: "if holder ~= agent then return held_by(holder, ends_at) end\n"
          + "if is_grant then return 'NONE' end\nif token ~= '' and",
        replacement: "if token ~= '' and")
    ])

  /// Renewals are promised, and not written.
  static let renewalsForgotten = PlantedBug(
    "renewals that are not written",
    [
      Change(
        within: "'MSET'", find: "write_waiting(#KEYS)\nreturn replies",
        replacement: "return replies")
    ])

  /// How the reaper looks whether a lock is held still.
  private static let stillHeld = "if ends_at > now_text then\nwatch_lock"

  /// The reaper takes the index for the truth: a renewed lock is abandoned all the same.
  static let renewalsIgnored = PlantedBug(
    "abandon without looking at the lock",
    [
      Change(
        within: "ZRANGEBYSCORE", find: stillHeld, replacement: "if false then\nwatch_lock")
    ])

  /// The reaper takes its call for the truth: each entry of the index is over, now.
  static let callerTrusted = PlantedBug(
    "a trusted notification",
    [
      Change(
        within: "ZRANGEBYSCORE", find: "'-inf', now_text, 'LIMIT'",
        replacement: "'-inf', '+inf', 'LIMIT'"),
      Change(
        within: "ZRANGEBYSCORE", find: stillHeld, replacement: "if false then\nwatch_lock"),
      Change(
        within: "ZRANGEBYSCORE", find: "'abandoned', tonumber(ends_at)",
        replacement: "'abandoned', now_ms"),
    ])

  /// Tokens are counted, and the count is lost with the last writes.
  static let countedTokens = PlantedBug(
    "token from INCR",
    [
      Change(
        within: "",
        find: "math.max((last > TOKEN_MAX and 0 or last) + 1, last_given + 1, now_us)",
        replacement: "(last > 0 and last or 1000000000000000) + 1")
    ])
}

extension SystemSuites.Deadlines {
  @Suite struct PlantedBugs {
    /// A short workload on workers that have this bug, and the checker's findings.
    ///
    /// `attack` starts the workload, waits until it has done enough, and gives it back.
    private func rules(
      _ bug: PlantedBug, workers: Int, _ attack: (TestCluster) throws -> ChaosWorkload
    ) throws -> (found: Set<HistoryViolation.Rule>, events: [EventRecord]) {
      let proxy = Shared<ScriptProxy?>(nil)
      let cluster = try TestCluster(
        workers: workers,
        through: { redis in
          let made = try ScriptProxy(before: redis, bug)
          proxy.value = made
          return made.url
        })
      defer {
        proxy.value?.stop()
        cluster.stop()
      }
      let workload = try attack(cluster)
      let calls = try workload.stop()
      try cluster.awaitSilence()
      let events = try cluster.connect().eventLog(of: workload.plan.devices)
      // A bug whose place was not found in the scripts has not been planted.
      #expect((proxy.value?.plantedCount ?? 0 > 0) == !bug.changes.isEmpty)
      return (Set(Checker.violations(calls, events).map(\.rule)), events)
    }

    @Test(
      arguments: [
        (.none, []), (.writtenTwice, [.endedTwice]), (.notWritten, [.endingMissing]),
        (.anyAgentReleases, [.releasedByOther]), (.renewalsForgotten, [.abandonedEarly]),
        (.renewalsIgnored, [.abandonedEarly]), (.callerTrusted, [.abandonedEarly]),
      ] as [(PlantedBug, Set<HistoryViolation.Rule>)])
    func `the checker calls a planted bug by its name`(
      bug: PlantedBug, caught: Set<HistoryViolation.Rule>
    ) throws {
      let (found, events) = try rules(bug, workers: 2) { cluster in
        let workload = cluster.workload(.devices(12), "the planted bug '\(bug.name)'")
        try workload.awaitDone(400)
        // On a busy machine most locks end before their holder renews them.
        try workload.awaitRenewed(100)
        return workload
      }
      #expect(events.contains { $0.type == "lock.abandoned" }, "\(events.map(\.type))")
      #expect(found.isSuperset(of: caught), "\(found)")
      #expect(found.isEmpty == caught.isEmpty, "\(found)")
    }

    /// Grants, a Redis that comes back with nothing, and grants again.
    private func rulesAfterLoss(_ bug: PlantedBug) throws -> Set<HistoryViolation.Rule> {
      try rules(bug, workers: 1) { cluster in
        var plan = ChaosWorkload.Plan.devices(4)
        plan.reqPercent = 0
        let workload = cluster.workload(plan, "tokens and a Redis that has lost everything")
        try workload.awaitDone(120)
        cluster.redis.kill()
        try cluster.redis.start()
        try workload.awaitDone(120)
        return workload
      }.found
    }

    @Test func `counted tokens are caught when Redis loses its writes, and ours are not`() throws {
      let aboutTokens: Set<HistoryViolation.Rule> = [.tokenReused, .tokenNotGrowing]
      #expect(!(try rulesAfterLoss(.countedTokens)).isDisjoint(with: aboutTokens))
      #expect(try rulesAfterLoss(.none).isDisjoint(with: aboutTokens))
    }
  }
}
