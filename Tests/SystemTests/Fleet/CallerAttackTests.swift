// Owns: the attacks by callers, in a short form (scripts/soak has the long one): a worker's memory
// stays bounded, the other callers are served, and nothing is left when they are gone.

import Foundation
import Glibc
import Testing

extension SystemSuites.Fleet {
  @Suite(
    .lab(workers: [
      [
        "--line-timeout", "1s", "--unread-timeout", "1s", "--max-unread", "64KiB",
        // Other callers are served, however busy the machine is.
        "--request-timeout", "20s",
      ]
    ])
  ) struct CallerAttacks {
    /// The most that a worker may grow in an attack, in KiB; without limits it would be much more.
    private static let growthKiBMax = 96 * 1_024

    /// Runs an attack beside a calm caller, and expects that nothing is left of it.
    private func runAttack(_ attack: (WorkerProcess) throws -> Void) throws {
      let worker = try Lab.current.worker
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      let beforeKiB = worker.residentKiB
      let calm = CalmCaller { try worker.connect() }
      try calm.awaitServed(1)
      try attack(worker)
      try calm.awaitServed(20)
      let grownKiB = worker.residentKiB - beforeKiB
      #expect(grownKiB < Self.growthKiBMax, "it has grown by \(grownKiB) KiB")
      try calm.stop()
      // Redis may still have to reply to requests of callers that are gone.
      try eventually("no connection and no request being left", within: .seconds(10)) {
        let connections = try worker.metric("latchkey_connections")
        return try connections == 0 && worker.metric("latchkey_requests_in_flight") == 0
      }
      #expect(worker.isRunning)
    }

    @Test func `callers that send a byte now and then`() throws {
      try runAttack { worker in
        let before = try worker.metric(closed("stalled"))
        let drips = try (0..<200).map { _ in try worker.connect() }
        try eventually("all of them being closed", within: .seconds(20), every: 250) {
          for client in drips { try? client.send([0x4C]) }
          return try worker.metric(closed("stalled")) == before + 200
        }
      }
    }

    @Test func `callers that connect and send nothing`() throws {
      raiseDescriptorLimit()
      try runAttack { worker in
        let idle = try (0..<1_500).map { _ in try worker.connect() }
        try eventually("all of them being let in") {
          try worker.metric("latchkey_connections") >= 1_500
        }
        for client in [idle[0], idle[749], idle[1_499]] {
          #expect(try client.request("PING").raw == "OK")
        }
      }
    }

    @Test func `callers that ask and never read`() throws {
      try runAttack { worker in
        let before = try worker.metric(closed("slow"))
        let deaf = try (0..<20).map { _ in try worker.connect() }
        let asked = Array(repeating: Array("HELP\n".utf8), count: 20_000).flatMap { $0 }
        // Each is cut off once the kernel's buffers are full, whose size is the machine's.
        try eventually("all of them being cut off", within: .seconds(30), every: 20) {
          for client in deaf { _ = try? client.socket.sendSome(asked[...]) }
          return try worker.metric(closed("slow")) == before + 20
        }
      }
    }

    @Test func `five thousand callers that connect, ask and go`() throws {
      try runAttack { worker in
        let served = try inParallel(4) { index in
          try (0..<1_250).count { number in
            let client = try worker.connect()
            return try client.request("LOCK \(Lab.device("storm")) a\(index)-\(number)").isOK
          }
        }
        #expect(served == [1_250, 1_250, 1_250, 1_250])
      }
    }

    @Test func `callers that close their side and wait`() throws {
      try runAttack { worker in
        let device = Lab.device()
        let clients = try (0..<100).map { _ in try worker.connect() }
        for (number, client) in clients.enumerated() {
          let lines = (0..<20).map { "LOCK \(device)-\(number)-\($0) a\($0)\n" }.joined()
          try client.send(Array((lines + "LOCK half-a-li").utf8))
          client.socket.halfClose()
        }
        for client in clients {
          for number in 0..<20 {
            let reply = try client.reply()
            #expect(reply.shows("agent", as: "\"a\(number)\""), "\(reply)")
          }
          #expect(client.isClosed())
        }
      }
    }

    @Test func `callers that vanish in the middle of a request`() throws {
      try runAttack { worker in
        for round in 0..<5 {
          let clients = try (0..<100).map { _ in try worker.connect() }
          let device = Lab.device()
          for (number, client) in clients.enumerated() {
            let lines = (0..<20).map { "LOCK \(device)-\(number)-\($0) a\n" }.joined()
            try client.send(
              Array((lines + "EVENTS \(device) wait=1h\nWATCH *\nLOCK \(round)").utf8))
            if number.isMultiple(of: 2) { _ = try client.reply() }
            client.socket.reset()
          }
        }
      }
    }

    @Test func `a Redis that hangs, with many callers`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let worker = lab.worker
      expect(try lab.connect().request("LOCK \(Lab.device()) a"), "OK")
      let beforeKiB = worker.residentKiB
      let clients = try (0..<100).map { _ in try lab.connect() }
      try lab.redis.freeze()
      defer { lab.redis.thaw() }
      let device = Lab.device()
      for (number, client) in clients.enumerated() {
        let lines = (0..<100).map { "LOCK \(device)-\(number)-\($0) a\n" }.joined()
        try client.send(Array(lines.utf8))
      }
      for client in clients {
        for reply in try client.replies(100) {
          #expect(reply.isOutage || reply.code == "overloaded", "\(reply)")
        }
      }
      #expect(worker.residentKiB - beforeKiB < Self.growthKiBMax)
      lab.redis.thaw()
      try eventually("service again", within: .seconds(10)) {
        try lab.connect().request("LOCK \(Lab.device()) a").isOK
      }
    }

    /// Each caller costs this process a descriptor; shells often allow 1,024.
    private func raiseDescriptorLimit() {
      var limit = rlimit()
      let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      guard getrlimit(which, &limit) == 0 else { return }
      limit.rlim_cur = limit.rlim_max
      setrlimit(which, &limit)
    }

    private func closed(_ reason: String) -> String {
      "latchkey_connections_closed_total{reason=\"\(reason)\"}"
    }
  }
}
