// Owns: the attacks on workers: killed one by one, killed all at once, frozen past the TTL. After
// each, the checker judges.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct WorkerAttacks {
    @Test func `a worker of three that is killed loses no ending and doubles none`() throws {
      let fortress = try Fortress()
      defer { fortress.stop() }
      let siege = fortress.siege(.devices(24), "killing workers, one at a time")
      try siege.awaitDone(200)
      fortress.kill(0)
      try siege.awaitDone(200)
      // Until a kill has hit a call that was under way.
      for _ in 0..<10 where siege.unknownCount == 0 {
        try fortress.addWorker()
        try siege.awaitDone(30)
        fortress.kill(0)
      }
      #expect(siege.unknownCount > 0)
      try siege.awaitDone(100)
      try fortress.judge(siege)
    }

    @Test func `what falls due while no worker lives is told when one comes`() throws {
      let fortress = try Fortress()
      defer { fortress.stop() }
      let siege = fortress.siege(.devices(24), "killing all workers")
      try siege.awaitDone(200)
      let orphans = (0..<64).map { _ in Lab.device("orphan") }
      let lines = orphans.map { "LOCK \($0) a ttl=300ms\n" }.joined()
      _ = try fortress.connect().exchange(Array(lines.utf8), lines: 64, within: .seconds(5))
      while !fortress.all.isEmpty { fortress.kill(0) }
      try eventually("locks that run out unseen") { try fortress.overdueCount() >= 64 }
      let fresh = try fortress.addWorker()
      try siege.awaitDone(200)
      try fortress.judge(siege)
      let told = try fresh.connect().eventLog(of: orphans)
      #expect(told.map(\.device).sorted() == orphans.sorted())
      #expect(told.allSatisfy { $0.type == "lock.abandoned" && $0.heldMs == 300 })
      #expect(try fresh.metric("latchkey_deadlines_met_total", "cause=\"reconnect\"") > 0)
    }

    @Test func `a worker that sleeps past the deadlines does no harm when it wakes`() throws {
      let fortress = try Fortress()
      defer { fortress.stop() }
      var plan = Siege.Plan.devices(24)
      plan.patience = .milliseconds(300)
      let siege = fortress.siege(plan, "a worker that sleeps")
      // Another one each time: callers that got no answer have gone elsewhere.
      for (sleeper, witness) in [(0, 1), (1, 2)] {
        try siege.awaitDone(100)
        let device = Lab.device("sleeper")
        let grant = try Grant(fortress.connect(sleeper).request("LOCK \(device) a ttl=150ms"))
        let unknown = siege.unknownCount
        try fortress[sleeper].freeze()
        let told: EventRecord = try eventually("another worker telling of the sleeper's lock") {
          try fortress.connect(witness).eventLog(of: [device]).first
        }
        #expect(told.type == "lock.abandoned" && told.token == grant.token)
        #expect(told.at == grant.acquiredAt + 150 && told.heldMs == 150)
        try siege.awaitDone(100)
        try eventually("a call that the sleeper does not answer") { siege.unknownCount > unknown }
        fortress[sleeper].thaw()
      }
      try siege.awaitDone(100)
      try fortress.judge(siege)
    }

    @Test func `a worker that is stopped in order hands its deadlines over at once`() throws {
      let fortress = try Fortress(options: ["--drain-grace", "300ms"])
      defer { fortress.stop() }
      let siege = fortress.siege(.devices(24), "workers that are stopped and replaced")
      for _ in 0..<3 {
        try siege.awaitDone(100)
        try fortress.addWorker()
        #expect(try fortress.terminate(0) == .exited(0))
      }
      try siege.awaitDone(100)
      try fortress.judge(siege)
    }
  }
}
