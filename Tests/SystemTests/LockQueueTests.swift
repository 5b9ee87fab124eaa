// Section 5 of the contract: callers that wait for a lock, over several workers.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct LockQueues {
    private func lab() throws -> Lab {
      try Lab(workers: Array(repeating: ["--threads", "2"], count: 3))
    }

    /// A caller that waits, once Redis has its ticket.
    private func waiter(
      _ lab: Lab, _ worker: Int, _ device: String, _ agent: String, _ rest: String = "",
      waiting: Int
    ) throws -> LineClient {
      let client = try lab.connect(worker)
      try client.sendLine("LOCK \(device) \(agent) wait=30s\(rest)")
      try awaitWaiting(waiting, device, lab)
      return client
    }

    private func awaitWaiting(_ count: Int, _ device: String, _ lab: Lab) throws {
      let other = try lab.connect()
      try eventually("\(count) callers wait") {
        try other.request("HOLDER \(device)").int("waiting") == count
      }
    }

    private func unlock(_ grant: Grant, _ device: String, _ client: LineClient) throws {
      expect(try client.request("UNLOCK \(device) \(grant.agent) token=\(grant.token)"), "OK")
    }

    @Test func `twenty callers get the lock in the order in which they asked`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let waiters = try (0..<20).map {
        try waiter(lab, $0 % 3, device, "agent-\($0)", " ttl=1m", waiting: $0 + 1)
      }
      try unlock(lock, device, first)
      var last = lock.token
      for (index, client) in waiters.enumerated() {
        let next = try Grant(client.reply())
        #expect(next.agent == "agent-\(index)" && next.token > last && !next.renewed)
        #expect(next.ttlMs == 60_000)
        last = next.token
        let holder = try first.request("HOLDER \(device)")
        #expect(try holder.string("agent") == next.agent && holder.int("waiting") == 19 - index)
        #expect(try holder.int("ttl_ms") > 50_000)
        try unlock(next, device, client)
      }
      expect(try first.request("HOLDER \(device)"), "NONE")
      let stats = try first.request("STATS").json()["locks"]
      #expect(stats?["held"]?.int == 0 && stats?["acquired"]?.int == 21)
      #expect(stats?["released"]?.int == 21 && stats?["abandoned"]?.int == 0)
    }

    @Test
    func `a killed worker loses its own callers' places, and the next has the lock in a second`()
      throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let lost = [
        try waiter(lab, 1, device, "a", " req=a", waiting: 1),
        try waiter(lab, 1, device, "b", waiting: 2),
      ]
      let next = try waiter(lab, 2, device, "c", waiting: 3)
      let last = try waiter(lab, 0, device, "d", waiting: 4)
      lab.workers[1].kill()
      try unlock(lock, device, first)
      let began = ContinuousClock.now
      let granted = try Grant(next.reply())
      #expect(elapsedMs(since: began) < 2_000)
      #expect(granted.agent == "c")
      withExtendedLifetime(lost) {}
      // The lost caller asks again, and stands before the one that asked after it.
      let again = try lab.connect(2)
      try again.sendLine("LOCK \(device) a wait=30s req=a")
      try awaitWaiting(2, device, lab)
      try unlock(granted, device, next)
      try unlock(Grant(again.reply()), device, again)
      #expect(try Grant(last.reply()).agent == "d")
      #expect(try first.request("EVENTS \(device)").raw == "OK {\"events\":[]}")
    }

    @Test func `a caller that goes away is passed over, and a drained worker answers HELD`() throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let closing = try waiter(lab, 0, device, "a", waiting: 1)
      let resetting = try waiter(lab, 1, device, "b", waiting: 2)
      let drained = try waiter(lab, 1, device, "c", waiting: 3)
      let last = try waiter(lab, 2, device, "d", waiting: 4)
      closing.socket.close()
      resetting.socket.reset()
      try awaitWaiting(2, device, lab)
      lab.workers[1].signal(SIGTERM)
      let held = try drained.reply()
      expect(held, "HELD")
      #expect(try held.string("agent") == "first")
      try unlock(lock, device, first)
      #expect(try Grant(last.reply()).agent == "d")
    }

    @Test func `fresh is HELD by its own agent, and waits for it`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) a fresh=yes"))
      let held = try first.request("LOCK \(device) a fresh=yes")
      expect(held, "HELD")
      #expect(try held.string("agent") == "a")
      #expect(try Grant(first.request("LOCK \(device) a fresh=no")).token == lock.token)
      let second = try waiter(lab, 1, device, "a", " fresh=yes", waiting: 1)
      let third = try waiter(lab, 2, device, "a", " fresh=yes", waiting: 2)
      try unlock(lock, device, first)
      let granted = try Grant(second.reply())
      #expect(granted.token > lock.token && !granted.renewed)
      try unlock(granted, device, second)
      #expect(try Grant(third.reply()).token > granted.token)
      for line in ["LOCK \(device) a fresh=yes token=7", "LOCK \(device) a wait=1s token=7"] {
        expectBadRequest(try first.request(line), naming: "token=")
      }
    }

    @Test func `callers that share the lock of their agent have it together`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let one = try waiter(lab, 0, device, "a", waiting: 1)
      let other = try waiter(lab, 1, device, "b", waiting: 2)
      let two = try waiter(lab, 2, device, "a", waiting: 3)
      let fresh = try waiter(lab, 2, device, "a", " fresh=yes", waiting: 4)
      try unlock(lock, device, first)
      let granted = try Grant(one.reply())
      let shared = try Grant(two.reply())
      #expect(shared.renewed && shared.token == granted.token)
      try unlock(granted, device, one)
      let next = try Grant(other.reply())
      #expect(next.agent == "b")
      try unlock(next, device, other)
      #expect(try Grant(fresh.reply()).token > next.token)
    }

    @Test func `a grant whose worker is late is no lock yet, but for callers of its agent`() throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let (device, first) = (Lab.device(), try lab.connect())
      let lock = try Grant(first.request("LOCK \(device) a"))
      let late = try waiter(lab, 1, device, "b", " fresh=yes", waiting: 1)
      let next = try waiter(lab, 2, device, "c", waiting: 2)
      try lab.workers[1].freeze()
      try unlock(lock, device, first)
      expect(try first.request("LOCK \(device) d"), "HELD")
      for line in ["UNLOCK \(device) b", "RENEW \(device) b token=7", "HANDOFF \(device) b d"] {
        expect(try first.request(line), "NONE")
      }
      // Its agent has the lock with the number of the grant, and the late caller has it, too.
      let shared = try Grant(first.request("LOCK \(device) b ttl=1m"))
      #expect(shared.renewed)
      lab.workers[1].thaw()
      let granted = try Grant(late.reply())
      #expect(granted.token == shared.token && !granted.renewed)
      // The operator clears a grant: the next caller has the lock, and the late one waits on.
      let again = try waiter(lab, 1, device, "e", waiting: 2)
      let last = try waiter(lab, 0, device, "f", waiting: 3)
      expect(try first.request("UNLOCK \(device) b"), "OK")
      try lab.workers[1].freeze()
      try unlock(Grant(next.reply()), device, next)
      let cleared = try first.request("CLEAR \(device)")
      #expect(cleared.raw == "OK {\"agent\":\"e\",\"held_ms\":0}")
      let lastLock = try Grant(last.reply())
      lab.workers[1].thaw()
      try awaitWaiting(1, device, lab)
      try unlock(lastLock, device, last)
      #expect(try Grant(again.reply()).agent == "e")
      #expect(try first.request("EVENTS \(device)").raw == "OK {\"events\":[]}")
    }

    @Test func `a wait ends with HELD after its time`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try Grant(first.request("LOCK \(device) a"))
      let began = ContinuousClock.now
      let held = try lab.connect(1).request("LOCK \(device) b wait=300ms")
      expect(held, "HELD")
      #expect(try held.string("agent") == "a")
      #expect(300..<2_000 ~= elapsedMs(since: began))
      #expect(try first.request("HOLDER \(device)").int("waiting") == 0)
    }

    @Test func `a lock that expires or is cleared is granted, and one that is passed on is not`()
      throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try Grant(first.request("LOCK \(device) a ttl=400ms"))
      let one = try waiter(lab, 1, device, "b", waiting: 1)
      let two = try waiter(lab, 2, device, "c", waiting: 2)
      #expect(try Grant(one.reply()).agent == "b")
      expect(try first.request("HANDOFF \(device) b d"), "OK")
      expect(try first.request("SEIZE \(device) e"), "OK")
      #expect(try first.request("HOLDER \(device)").int("waiting") == 1)
      expect(try first.request("CLEAR \(device)"), "OK")
      #expect(try Grant(two.reply()).agent == "c")
      let types = try first.request("EVENTS \(device)").json()["events"]
      guard case .array(let events)? = types else { throw Failure("no events") }
      #expect(
        events.map { $0["type"]?.string } == [
          "lock.abandoned", "lock.handed_off", "lock.seized", "lock.cleared",
        ])
    }

    @Test func `a frozen worker is passed over, and its callers wait on when it wakes`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let frozen = [
        try waiter(lab, 1, device, "a", waiting: 1), try waiter(lab, 1, device, "b", waiting: 2),
      ]
      let next = try waiter(lab, 2, device, "c", waiting: 3)
      try lab.workers[1].freeze()
      try unlock(lock, device, first)
      let granted = try Grant(next.reply())
      lab.workers[1].thaw()
      try awaitWaiting(2, device, lab)
      try unlock(granted, device, next)
      for (client, agent) in zip(frozen, ["a", "b"]) {
        let grant = try Grant(client.reply())
        #expect(grant.agent == agent)
        try unlock(grant, device, client)
      }
    }

    @Test func `a retry of a LOCK that waited has the same grant`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let lock = try Grant(first.request("LOCK \(device) first"))
      let old = try waiter(lab, 0, device, "a", " req=r", waiting: 1)
      let new = try lab.connect(1)
      try new.sendLine("LOCK \(device) a wait=20s req=r")
      expect(try old.reply(), "HELD")
      try unlock(lock, device, first)
      let granted = try new.reply()
      #expect(try Grant(granted).agent == "a")
      #expect(try old.request("LOCK \(device) a wait=20s req=r").raw == granted.raw)
      #expect(try old.request("LOCK \(device) a req=r").raw == granted.raw)
      expect(try old.request("LOCK \(device) a fresh=yes req=r"), "ERR", "conflict")
    }
  }
}
