// Section 6 of the contract, 'Grants': callers that wait for a turn, over several workers.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct TurnQueues {
    private static let workers: [[String]] = Array(repeating: ["--threads", "2"], count: 3)

    private func lab() throws -> Lab { try Lab(workers: Self.workers) }

    /// A caller that waits, once Redis has its ticket.
    private func waiter(
      _ lab: Lab, _ worker: Int, _ device: String, _ rest: String = "", waiting: Int
    ) throws -> LineClient {
      let client = try lab.connect(worker)
      try client.sendLine("TURN \(device) wait=30s\(rest)")
      try awaitWaiting(waiting, device, lab)
      return client
    }

    /// Waits until so many callers wait for the device.
    private func awaitWaiting(
      _ count: Int, _ device: String, _ lab: Lab, of worker: Int = 0
    ) throws {
      let other = try lab.connect(worker)
      try eventually("\(count) callers wait") {
        let busy = try other.request("TURN \(device) policy=reject")
        return try busy.word == "BUSY" && busy.int("ahead") == count
      }
    }

    private func done(_ turn: BegunTurn, _ device: String, _ client: LineClient) throws {
      expect(
        try client.request(
          "DONE \(device) turn=\(turn.number) {\"say\":{\"t\":\"answer\"}}"), "OK")
    }

    /// With `isKilled` the worker of the first one that waits dies, and its callers with it.
    @Test(arguments: [false, true])
    func `twenty callers get the turn in the order in which they asked`(isKilled: Bool) throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let waiters = try (0..<20).map {
        try waiter(lab, ($0 + 1) % 3, device, " {\"t\":\"\($0)\"}", waiting: $0 + 1)
      }
      if isKilled { lab.workers[1].kill() }
      let served = waiters.indices.filter { !isKilled || $0 % 3 != 0 }
      let began = ContinuousClock.now
      try done(turn, device, first)
      var last = turn.number
      for index in served {
        let next = try BegunTurn(waiters[index].reply())
        if index == served.first { #expect(elapsedMs(since: began) < 2_000) }
        #expect(next.number > last)
        #expect(try next.texts.last == "\(index)")
        #expect(try next.reply.int("waited_ms") > 0)
        last = next.number
        try done(next, device, waiters[index])
      }
      // Messages and answers alternate.
      let texts = try TurnTexts.of(device, first)
      #expect(texts == ["answer"] + served.flatMap { ["\($0)", "answer"] })
      #expect(try first.request("STATS").raw.contains("\"turns\":{\"running\":0,\"waiting\":0,"))
    }

    @Test
    func `a killed worker loses its own callers' places, and the next has the turn in a second`()
      throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let lost = try waiter(lab, 1, device, " req=a {\"t\":\"a\"}", waiting: 1)
      let lostToo = try waiter(lab, 1, device, " {\"t\":\"b\"}", waiting: 2)
      let next = try waiter(lab, 2, device, " {\"t\":\"c\"}", waiting: 3)
      let last = try waiter(lab, 0, device, " {\"t\":\"d\"}", waiting: 4)
      lab.workers[1].kill()
      try done(turn, device, first)
      let began = ContinuousClock.now
      let granted = try BegunTurn(next.reply())
      #expect(elapsedMs(since: began) < 2_000)
      #expect(try granted.texts.last == "c")
      withExtendedLifetime((lost, lostToo)) {}
      // The lost caller asks again, and stands before the one that asked after it.
      let again = try lab.connect(2)
      try again.sendLine("TURN \(device) wait=30s req=a {\"t\":\"a\"}")
      try awaitWaiting(2, device, lab)
      try done(granted, device, next)
      let second = try BegunTurn(again.reply())
      try done(second, device, again)
      let third = try BegunTurn(last.reply())
      #expect(try third.texts.suffix(3) == ["a", "answer", "d"])
      let events = try first.request("EVENTS \(device)").raw
      #expect(!events.contains("turn.abandoned"))
    }

    @Test func `a caller that goes away is passed over, and keeps its place for a retry`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let closing = try waiter(lab, 0, device, " req=a {\"t\":\"a\"}", waiting: 1)
      let resetting = try waiter(lab, 1, device, " {\"t\":\"b\"}", waiting: 2)
      let last = try waiter(lab, 2, device, " {\"t\":\"c\"}", waiting: 3)
      closing.socket.close()
      resetting.socket.reset()
      try awaitWaiting(1, device, lab)
      let again = try lab.connect(1)
      try again.sendLine("TURN \(device) wait=30s req=a {\"t\":\"a\"}")
      try awaitWaiting(2, device, lab)
      try done(turn, device, first)
      let second = try BegunTurn(again.reply())
      #expect(try second.texts == ["answer", "a"])
      try done(second, device, again)
      #expect(try BegunTurn(last.reply()).texts.suffix(1) == ["c"])
    }

    @Test func `a retry while the first ask waits takes its place, and the first is BUSY`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let old = try waiter(lab, 0, device, " req=a {\"t\":\"a\"}", waiting: 1)
      let other = try waiter(lab, 1, device, " {\"t\":\"b\"}", waiting: 2)
      let new = try lab.connect(2)
      try new.sendLine("TURN \(device) wait=30s req=a {\"t\":\"a\"}")
      expect(try old.reply(), "BUSY")
      try done(turn, device, first)
      let second = try BegunTurn(new.reply())
      try done(second, device, new)
      #expect(try BegunTurn(other.reply()).texts == ["answer", "a", "answer", "b"])
    }

    @Test func `a wait ends with BUSY, and says nothing`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try BegunTurn(first.request("TURN \(device) {\"t\":\"one\"}"))
      let began = ContinuousClock.now
      let busy = try lab.connect(1).request("TURN \(device) wait=300ms {\"t\":\"two\"}")
      expect(busy, "BUSY")
      #expect(try busy.int("ahead") == 0)
      #expect(300..<2_000 ~= elapsedMs(since: began))
      #expect(try TurnTexts.of(device, first) == ["one"])
      expectBadRequest(
        try first.request("TURN \(device) policy=reject wait=1s"), naming: "policy=reject")
    }

    @Test func `a draining worker answers BUSY, and the others go on`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let drained = try waiter(lab, 1, device, " {\"t\":\"a\"}", waiting: 1)
      let next = try waiter(lab, 2, device, " {\"t\":\"b\"}", waiting: 2)
      lab.workers[1].signal(SIGTERM)
      expect(try drained.reply(), "BUSY")
      try done(turn, device, first)
      #expect(try BegunTurn(next.reply()).texts == ["answer", "b"])
      #expect(try lab.workers[1].wait(within: .seconds(10)) == .exited(0))
    }

    @Test func `all callers of a worker that was late ask again, at their places`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let late = try (0..<2).map {
        try waiter(lab, 1, device, " {\"t\":\"late \($0)\"}", waiting: $0 + 1)
      }
      let next = try waiter(lab, 2, device, " {\"t\":\"next\"}", waiting: 3)
      let last = try waiter(lab, 0, device, " {\"t\":\"last\"}", waiting: 4)
      try lab.workers[1].freeze()
      try done(turn, device, first)
      let second = try BegunTurn(next.reply())
      lab.workers[1].thaw()
      try awaitWaiting(3, device, lab)
      try done(second, device, next)
      for client in late { try done(BegunTurn(client.reply()), device, client) }
      try done(BegunTurn(last.reply()), device, last)
      let texts = try TurnTexts.of(device, first).filter { $0 != "answer" }
      #expect(texts == ["next", "late 0", "late 1", "last"])
    }

    @Test func `what waits is granted in its order when the record of the turn is gone`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try BegunTurn(first.request("TURN \(device)"))
      let waiting = try waiter(lab, 1, device, " {\"t\":\"waiting\"}", waiting: 1)
      let redis = try RedisClient(path: lab.redis.path)
      let keys = try redis.command("KEYS", "lk:*:turn:\(device)").items.compactMap(\.string)
      for key in keys { _ = try redis.command("DEL", key) }
      expect(try first.request("TURN \(device) {\"t\":\"new\"}"), "BUSY")
      #expect(try BegunTurn(waiting.reply()).texts == ["waiting"])
    }

    @Test func `a quota that refuses a granted turn gives it to the next caller`() throws {
      let lab = try Lab(workers: [["--max-user-sessions", "1"], ["--max-user-sessions", "1"]])
      defer { lab.stop() }
      let (device, user) = (Lab.device(), Lab.device("user"))
      let first = try lab.connect()
      expect(try first.request("OPEN \(Lab.device()) user=\(user)"), "OK")
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let refused = try waiter(lab, 1, device, " user=\(user)", waiting: 1)
      let next = try waiter(lab, 1, device, " {\"t\":\"next\"}", waiting: 2)
      try done(turn, device, first)
      let began = ContinuousClock.now
      expect(try refused.reply(), "ERR", "quota")
      #expect(try BegunTurn(next.reply()).texts == ["answer", "next"])
      #expect(elapsedMs(since: began) < 900)
    }

    @Test func `a frozen worker is passed over, and its callers wait on when it wakes`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      let turn = try BegunTurn(first.request("TURN \(device)"))
      let frozen = try waiter(lab, 1, device, " {\"t\":\"a\"}", waiting: 1)
      let retried = try waiter(lab, 1, device, " req=c {\"t\":\"c\"}", waiting: 2)
      let next = try waiter(lab, 2, device, " {\"t\":\"b\"}", waiting: 3)
      try lab.workers[1].freeze()
      try done(turn, device, first)
      let second = try BegunTurn(next.reply())
      let retry = try waiter(lab, 0, device, " req=c {\"t\":\"c\"}", waiting: 1)
      lab.workers[1].thaw()
      // The late worker does not throw the retry out of its place.
      expect(try retried.reply(), "BUSY")
      try awaitWaiting(2, device, lab)
      try done(second, device, next)
      let third = try BegunTurn(frozen.reply())
      #expect(try third.texts.last == "a")
      try done(third, device, frozen)
      #expect(try BegunTurn(retry.reply()).texts.last == "c")
    }

    @Test func `another request under the id of one that waits is a conflict, and takes no place`()
      throws
    {
      let lab = try lab()
      defer { lab.stop() }
      let (device, first) = (Lab.device(), try lab.connect())
      let turn = try BegunTurn(first.request("TURN \(device)"))
      expect(try first.request("LOCK \(device) a"), "OK")
      let old = try waiter(lab, 0, device, " req=r {\"t\":\"a\"}", waiting: 1)
      let locking = try lab.connect(1)
      try locking.sendLine("LOCK \(device) b wait=30s req=l")
      try eventually("it waits") { try first.request("HOLDER \(device)").int("waiting") == 1 }
      let other = try lab.connect(2)
      expect(try other.request("TURN \(device) wait=30s req=r {\"t\":\"b\"}"), "ERR", "conflict")
      expect(try other.request("LOCK \(device) c wait=30s req=l"), "ERR", "conflict")
      try awaitWaiting(1, device, lab)
      try done(turn, device, first)
      #expect(try BegunTurn(old.reply()).texts == ["answer", "a"])
      expect(try first.request("UNLOCK \(device) a"), "OK")
      #expect(try Grant(locking.reply()).agent == "b")
    }

    @Test(arguments: [false, true])
    func `callers wait on when Redis comes again, in their order`(isDurable: Bool) throws {
      let lab = try Lab(
        isDurable ? .durable : .init(), workers: [["--threads", "1"], ["--threads", "1"]])
      defer { lab.stop() }
      let (device, first) = (Lab.device(), try lab.connect())
      let turn = try BegunTurn(first.request("TURN \(device)"))
      // More than ten, and from worker to worker: neither texts nor workers give the order.
      let waiters = try (0..<12).map {
        try waiter(lab, $0 % 2, device, " {\"t\":\"\($0)\"}", waiting: $0 + 1)
      }
      let refused = try lab.connect(1)
      try refused.sendLine("TURN \(device) wait=1s {\"t\":\"refused\"}")
      // Asked through its own worker, so Redis' reply to it has come too.
      try awaitWaiting(13, device, lab, of: 1)
      lab.redis.kill()
      expect(try refused.reply(), "ERR", "unavailable")
      let began = ContinuousClock.now
      try lab.redis.start()
      if isDurable {
        // The place of the caller that was refused meanwhile is free again.
        try eventually("12 callers wait") {
          let busy = try first.request("TURN \(device) policy=reject")
          return try busy.word == "BUSY" && busy.int("ahead") == 12
        }
        try done(turn, device, first)
      }
      // Without its data, Redis gives the turn to the first caller of the first worker back.
      var order = Array(0..<12)
      if !isDurable {
        let (index, began) = try eventually("one has the turn") {
          for index in 0..<2 {
            guard let line = try waiters[index].readLine(within: .milliseconds(20)) else {
              continue
            }
            return (index, try BegunTurn(Reply(raw: line)))
          }
          return nil
        }
        order.remove(at: index)
        // The other worker's callers are in the queue again.
        try awaitWaiting(11, device, lab)
        try done(began, device, waiters[index])
      }
      for index in order {
        let next = try BegunTurn(waiters[index].reply(within: .seconds(10)))
        #expect(try next.texts.last == "\(index)")
        try done(next, device, waiters[index])
      }
      #expect(elapsedMs(since: began) < 10_000)
    }

    @Test func `a turn that is abandoned or interrupted gives way to who waits`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try BegunTurn(first.request("TURN \(device) ttl=300ms agent=a"))
      let next = try waiter(lab, 1, device, " agent=a {\"t\":\"b\"}", waiting: 1)
      let held = try waiter(lab, 2, device, " agent=a {\"t\":\"c\"}", waiting: 2)
      let last = try waiter(lab, 1, device, " {\"t\":\"d\"}", waiting: 3)
      _ = try BegunTurn(next.reply())
      expect(try first.request("SEIZE \(device) z"), "OK")
      // The lock is another's when the turn is granted.
      expect(try held.reply(), "HELD")
      #expect(try BegunTurn(last.reply()).texts.last == "d")
    }

    @Test func `interrupt begins before those who wait`() throws {
      let lab = try lab()
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try BegunTurn(first.request("TURN \(device)"))
      let waiting = try waiter(lab, 1, device, " {\"t\":\"a\"}", waiting: 1)
      let turn = try BegunTurn(first.request("TURN \(device) policy=interrupt {\"t\":\"b\"}"))
      try done(turn, device, first)
      #expect(try BegunTurn(waiting.reply()).texts == ["b", "answer", "a"])
    }

    @Test func `no more than the limit wait for one device`() throws {
      let lab = try Lab(workers: [["--max-waiting", "2"]])
      defer { lab.stop() }
      let device = Lab.device()
      let first = try lab.connect()
      _ = try BegunTurn(first.request("TURN \(device)"))
      let waiting = try [1, 2].map { try waiter(lab, 0, device, waiting: $0) }
      expect(try lab.connect().request("TURN \(device) wait=5s"), "ERR", "overloaded")
      withExtendedLifetime(waiting) {}
    }
  }
}
