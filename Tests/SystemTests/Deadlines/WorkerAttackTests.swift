// Owns: the attacks on workers: killed one by one, killed all at once, frozen past the TTL. After
// each, the checker judges.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct WorkerAttacks {
    @Test func `a worker of three that is killed loses no ending and doubles none`() throws {
      let cluster = try TestCluster()
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "killing workers, one at a time")
      try workload.awaitDone(200)
      cluster.kill(0)
      try workload.awaitDone(200)
      // Until a kill has hit a call that was under way.
      for _ in 0..<10 where workload.unknownCount == 0 {
        try cluster.addWorker()
        try workload.awaitDone(30)
        cluster.kill(0)
      }
      #expect(workload.unknownCount > 0)
      try workload.awaitDone(100)
      try cluster.judge(workload)
    }

    @Test func `locks that expire while no worker lives are ended when one comes`() throws {
      let cluster = try TestCluster()
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "killing all workers")
      try workload.awaitDone(200)
      let orphans = (0..<64).map { _ in Lab.device("orphan") }
      let lines = orphans.map { "LOCK \($0) a ttl=300ms\n" }.joined()
      _ = try cluster.connect().exchange(Array(lines.utf8), lines: 64, within: .seconds(5))
      while !cluster.all.isEmpty { cluster.kill(0) }
      try eventually("locks that expire unnoticed") { try cluster.overdueCount() >= 64 }
      let fresh = try cluster.addWorker()
      try workload.awaitDone(200)
      try cluster.judge(workload)
      let events = try fresh.connect().eventLog(of: orphans)
      #expect(events.map(\.device).sorted() == orphans.sorted())
      #expect(events.allSatisfy { $0.type == "lock.abandoned" && $0.heldMs == 300 })
      #expect(try fresh.metric("latchkey_deadlines_met_total", "cause=\"reconnect\"") > 0)
    }

    @Test func `a worker that sleeps past the deadlines does no harm when it wakes`() throws {
      let cluster = try TestCluster()
      defer { cluster.stop() }
      var plan = ChaosWorkload.Plan.devices(24)
      plan.patience = .milliseconds(300)
      let workload = cluster.workload(plan, "a worker that sleeps")
      // Another one each time: callers that got no answer have gone elsewhere.
      for (sleeper, witness) in [(0, 1), (1, 2)] {
        try workload.awaitDone(100)
        let device = Lab.device("sleeper")
        let grant = try Grant(cluster.connect(sleeper).request("LOCK \(device) a ttl=150ms"))
        let unknown = workload.unknownCount
        try cluster[sleeper].freeze()
        let event: EventRecord = try eventually("another worker's event of the sleeper's lock") {
          try cluster.connect(witness).eventLog(of: [device]).first
        }
        #expect(event.type == "lock.abandoned" && event.token == grant.token)
        #expect(event.at == grant.acquiredAt + 150 && event.heldMs == 150)
        try workload.awaitDone(100)
        try eventually("a call that the sleeper does not answer") {
          workload.unknownCount > unknown
        }
        cluster[sleeper].thaw()
      }
      try workload.awaitDone(100)
      try cluster.judge(workload)
    }

    @Test func `a worker that is stopped in order hands its deadlines over at once`() throws {
      let cluster = try TestCluster(options: ["--drain-grace", "300ms"])
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "workers that are stopped and replaced")
      for _ in 0..<3 {
        try workload.awaitDone(100)
        try cluster.addWorker()
        #expect(try cluster.terminate(0) == .exited(0))
      }
      try workload.awaitDone(100)
      try cluster.judge(workload)
    }
  }
}
