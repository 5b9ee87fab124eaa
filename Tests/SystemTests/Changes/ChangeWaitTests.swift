// Owns: the tests of HISTORY and GET with wait=: reads that are answered when there is something
// new, whichever worker it came by, and through faults.

import Foundation
import Testing

extension SystemSuites {
  @Suite(.lab(workers: [["--threads", "2"], []])) struct ChangeWaits {
    /// Sends a request that waits, and returns once it does.
    private func waiting(_ line: String, _ lab: Lab) throws -> LineClient {
      let client = try lab.connect(0)
      let before = try lab.worker.changeWaiters
      try client.sendLine(line)
      try eventually("the request waits") { try lab.worker.changeWaiters == before + 1 }
      return client
    }

    private func opened(_ maker: LineClient) throws -> (device: String, session: String) {
      let device = Lab.device()
      return (device, try maker.request("OPEN \(device) {\"a\":1}").string("session"))
    }

    @Test func `HISTORY waits for a message, which another worker's caller says`() throws {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let device = try opened(maker).device
      let reader = try waiting("HISTORY \(device) after=0 wait=30s", lab)
      #expect(try maker.request("SAY \(device) {\"n\":1}").raw == "OK {\"seq\":1,\"chat\":1}")
      let page = try reader.reply()
      #expect(page.raw.contains("\"message\":{\"n\":1}"))
      // What is there already is answered at once.
      #expect(try reader.request("HISTORY \(device) after=0 wait=30s").raw == page.raw)
      let began = ContinuousClock.now
      let empty = try reader.request("HISTORY \(device) after=1 wait=100ms")
      #expect(elapsedMs(since: began) >= 100)
      #expect(
        empty.raw == "OK {\"messages\":[],\"more\":false,\"first_seq\":1,\"last_seq\":1}")
    }

    @Test func `a wait is for the chat and the session that are addressed`() throws {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let (device, first) = try opened(maker)
      expect(try maker.request("CHAT \(device)"), "OK")
      expect(try maker.request("OPEN \(device)"), "OK")
      let reader = try waiting("HISTORY \(device)/\(first)/1 after=0 wait=30s", lab)
      let current = try waiting("HISTORY \(device) after=0 wait=30s", lab)
      expect(try maker.request("SAY \(device)/\(first)/2 {\"n\":2}"), "OK")
      expect(try maker.request("SAY \(device) {\"n\":3}"), "OK")
      #expect(try current.reply().raw.contains("{\"n\":3}"))
      #expect(try reader.readLine(within: .milliseconds(50)) == nil)
      expect(try maker.request("SAY \(device)/\(first)/1 {\"n\":1}"), "OK")
      #expect(try reader.reply().raw.contains("{\"n\":1}"))
    }

    /// Every way in which a session gets a new revision, or goes.
    private static let changes = [
      ("SET %", "{\"a\":2}"), ("SET %", "phase=p"), ("SET %", "user=ada"), ("LINK %", "tag t"),
      ("CHAT %", ""), ("SET %/current", "name=n"), ("PAUSE %", ""), ("CLOSE %", "failed"),
      ("ARCHIVE %", ""), ("TURN &", "{\"n\":1}"),
    ]

    @Test(arguments: changes) func `GET waits for another revision`(verb: String, rest: String)
      throws
    {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let (device, session) = try opened(maker)
      if verb == "TURN &" { expect(try maker.request("DELETE \(device)/current/1"), "OK") }
      let rev = try maker.request("GET \(device)").int("rev")
      let reader = try waiting("GET \(device)/\(session) rev=\(rev) wait=30s", lab)
      let line = verb.replacing("%", with: "\(device)/\(session)").replacing("&", with: device)
      expect(try maker.request(rest.isEmpty ? line : "\(line) \(rest)"), "OK")
      #expect(try reader.reply().int("rev") > rev)
    }

    @Test func `GET waits for the changes that take something away, and for those of clocks`()
      throws
    {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let (device, session) = try opened(maker)
      let address = "\(device)/\(session)"
      for setup in ["LINK \(address) tag t", "CHAT \(address)", "CHAT \(address)"] {
        expect(try maker.request(setup), "OK")
      }
      for change in ["UNLINK \(address) tag t", "SWITCH \(address)/1", "DELETE \(address)/2"] {
        let rev = try maker.request("GET \(address)").int("rev")
        let reader = try waiting("GET \(address) rev=\(rev) wait=30s", lab)
        expect(try maker.request(change), "OK")
        #expect(try reader.reply().int("rev") == rev + 1)
      }
      let rev = try maker.request("GET \(address)").int("rev")
      let reader = try waiting("GET \(device) rev=\(rev) wait=30s", lab)
      expect(try maker.request("DELETE \(address)"), "OK")
      #expect(try reader.reply().raw == "NONE")
      let idle = try maker.request("OPEN \(device) idle=300ms")
      let waiter = try waiting("GET \(device) rev=\(idle.int("rev")) wait=30s", lab)
      #expect(try waiter.reply().string("state") == "paused")
    }

    @Test func `GET with rev= says that nothing has changed, at once or after its wait`() throws {
      let lab = try Lab.current
      let client = try lab.connect()
      let (device, session) = try opened(client)
      #expect(try client.request("GET \(device) rev=1").raw == "OK {\"unchanged\":true}")
      #expect(try client.request("GET \(device) rev=0").string("session") == session)
      #expect(try client.request("GET \(device) rev=2 wait=30s").int("rev") == 1)
      let began = ContinuousClock.now
      #expect(try client.request("GET \(device) rev=1 wait=100ms").raw == "OK {\"unchanged\":true}")
      #expect(elapsedMs(since: began) >= 100)
      // SAY is activity and no revision.
      let reader = try waiting("GET \(device) rev=1 wait=200ms", lab)
      expect(try client.request("SAY \(device) {}"), "OK")
      #expect(try reader.reply().raw == "OK {\"unchanged\":true}")
    }

    @Test func `a wait that can have no effect is refused`() throws {
      let client = try Lab.current.connect()
      let device = try opened(client).device
      expectBadRequest(try client.request("HISTORY \(device) wait=1s"), naming: "after=")
      expectBadRequest(try client.request("HISTORY \(device) last=2 wait=1s"), naming: "after=")
      expectBadRequest(try client.request("GET \(device) wait=1s"), naming: "rev=")
      expectBadRequest(try client.request("GET \(device)/current/1 rev=1"), naming: "rev=")
      for none in [Lab.device(), "\(device)/current/7"] {
        #expect(try client.request("HISTORY \(none) after=0 wait=30s").raw == "NONE")
      }
      #expect(try client.request("GET \(Lab.device()) rev=1 wait=30s").raw == "NONE")
      #expect(try client.request("HISTORY \(device) after=1 wait=30s").word == "STALE")
    }

    @Test func `what stands behind a wait is served after it`() throws {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let device = try opened(maker).device
      let reader = try waiting("HISTORY \(device) after=0 wait=30s", lab)
      try reader.sendLine("SAY \(device) {\"n\":2}\nHISTORY \(device) after=1 wait=30s")
      expect(try maker.request("SAY \(device) {\"n\":1}"), "OK")
      #expect(try reader.reply().raw.contains("\"last_seq\":1}"))
      #expect(try reader.reply().int("seq") == 2)
      #expect(try reader.reply().raw.contains("{\"n\":2}"))
    }

    @Test func `five hundred readers of one device are all answered`() throws {
      let lab = try Lab.current
      let maker = try lab.connect(1)
      let device = try opened(maker).device
      let readers = try (0..<500).map { try lab.connect($0 % 2) }
      for reader in readers { try reader.sendLine("HISTORY \(device) after=0 wait=60s") }
      try eventually("all wait") {
        try lab.workers.map { try $0.changeWaiters }.reduce(0, +) >= 500
      }
      expect(try maker.request("SAY \(device) {\"n\":1}"), "OK")
      for reader in readers { #expect(try reader.reply().raw.contains("{\"n\":1}")) }
      try eventually("none waits") {
        try lab.workers.allSatisfy { try $0.changeWaiters == 0 }
      }
    }
  }
}

extension WorkerProcess {
  /// How many of its callers' reads wait for a change.
  fileprivate var changeWaiters: Int { get throws { try metric("latchkey_change_waiters") } }
}

// MARK: Faults

extension SystemSuites {
  @Suite struct ChangeWaitFaults {
    @Test func `a reader that follows a chat misses nothing while subscriptions are cut`() throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let device = Lab.device()
      expect(try lab.connect().request("OPEN \(device)"), "OK")
      let isOver = Shared(false)
      let writers = (0..<2).map { index in
        Background {
          let client = try lab.connect(1)
          for number in 0..<200 {
            expect(try client.request("SAY \(device) {\"w\":\(index),\"n\":\(number)}"), "OK")
          }
        }
      }
      let cutter = Background {
        let redis = try RedisClient(path: lab.redis.path)
        while !isOver.value {
          try redis.command("CLIENT", "KILL", "TYPE", "pubsub")
          pause(ms: 30)
        }
      }
      let reader = try lab.connect(0)
      var last = 0
      while last < 400 {
        let page = try reader.request(
          "HISTORY \(device) after=\(last) limit=50 wait=5s", within: .seconds(10))
        let seqs = page.raw.matches(of: /"seq":(\d+)/).compactMap { Int($0.1) }
        try #require(!seqs.isEmpty, "a message was said within 5 s: \(page.raw)")
        #expect(seqs == Array(last + 1...last + seqs.count))
        last += seqs.count
      }
      isOver.value = true
      for writer in writers { try writer.join() }
      try cutter.join()
    }

    @Test func `a draining worker answers those who wait`() throws {
      let lab = try Lab(workers: [[], []])
      defer { lab.stop() }
      let device = Lab.device()
      let (reader, record) = (try lab.connect(0), try lab.connect(0))
      expect(try reader.request("OPEN \(device)"), "OK")
      try reader.sendLine("HISTORY \(device) after=0 wait=60s")
      try record.sendLine("GET \(device) rev=1 wait=60s")
      try eventually("both wait") { try lab.worker.changeWaiters == 2 }
      lab.worker.signal(SIGTERM)
      #expect(try reader.reply().raw.hasPrefix("OK {\"messages\":[],"))
      #expect(try record.reply().raw == "OK {\"unchanged\":true}")
    }

    @Test func `a wait through a restart of Redis is answered, or refused as unavailable`() throws {
      let lab = try Lab(.init(extra: ["--appendonly", "yes"]), workers: [[], []])
      defer { lab.stop() }
      let device = Lab.device()
      let (reader, maker) = (try lab.connect(0), try lab.connect(1))
      expect(try maker.request("OPEN \(device)"), "OK")
      try reader.sendLine("HISTORY \(device) after=0 wait=60s")
      try eventually("it waits") { try lab.worker.changeWaiters == 1 }
      lab.redis.kill()
      try lab.redis.start()
      try eventually("a message is said") {
        try maker.request("SAY \(device) {\"n\":1}").word == "OK"
      }
      let reply = try reader.reply(within: .seconds(20))
      #expect(reply.raw.contains("{\"n\":1}") || reply.code == "unavailable")
      // Its worker may come to Redis later than the other one.
      try eventually("the message is read") {
        try reader.request("HISTORY \(device) after=0 wait=60s").raw.contains("{\"n\":1}")
      }
    }
  }
}
