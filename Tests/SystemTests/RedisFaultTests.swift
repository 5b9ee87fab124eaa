// A connection to Redis that stalls, garbles, cuts and refuses: no reply goes to another request.

import Foundation
import Testing

/// A worker behind a fake that stands before a real Redis.
private final class FaultyRedis {
  let redis: RedisServer
  let fake: FakeRedis
  let worker: WorkerProcess
  private(set) var client: LineClient

  init(_ options: [String] = []) throws {
    redis = try RedisServer()
    fake = try FakeRedis(before: redis)
    worker = try WorkerProcess(["--redis", fake.url] + options)
    client = try worker.connect()
  }

  deinit {
    worker.kill()
    fake.stop()
    redis.stop()
  }

  /// LOCKs fresh devices until one is granted; each grant must be the one that was asked for.
  func expectHealed(at place: SourceLocation = #_sourceLocation) throws {
    fake.play(.pass)
    try eventually("service again", within: .seconds(5), every: 20) { try lockFresh().isOK }
    for _ in 0..<50 {
      let reply = try lockFresh()
      #expect(reply.isOK, "\(reply)", sourceLocation: place)
    }
    #expect(worker.isRunning, sourceLocation: place)
  }

  /// One LOCK of a new device by a new agent, whose grant must be for this agent.
  func lockFresh(_ options: String = "", at place: SourceLocation = #_sourceLocation) throws
    -> Reply
  {
    let agent = Lab.device("agent")
    let start = ContinuousClock.now
    guard let reply = try? client.request("LOCK \(Lab.device()) \(agent)\(options)") else {
      let ending = try? worker.wait(within: .seconds(1))
      let state = ending.map { "the worker crashed, \($0)" } ?? "the worker does not answer"
      throw Failure("\(state): \(worker.log.suffix(3_000))")
    }
    // After an error that it calls a bug, the worker may close the connection.
    if reply.code == "internal" { client = try worker.connect() }
    #expect(elapsedMs(since: start) < 600, "\(reply)", sourceLocation: place)
    if reply.isOK {
      #expect(try reply.string("agent") == agent, "another request's reply", sourceLocation: place)
    } else {
      #expect(reply.word == "ERR", "\(reply)", sourceLocation: place)
    }
    return reply
  }
}

extension SystemSuites {
  @Suite struct RedisFaults {
    @Test func `replies that come in pieces of one byte are understood`() throws {
      let faulty = try FaultyRedis()
      faulty.fake.play(.dribble)
      for _ in 0..<20 { #expect(try faulty.lockFresh().isOK) }
      let device = Lab.device()
      let lines = (0..<20).map { "LOCK \(device)-\($0) a\($0)\n" }.joined()
      let replies = try faulty.client.exchange(Array(lines.utf8), lines: 20, within: .seconds(10))
      let wrong = replies.indices.filter { number in
        !Reply(raw: replies[number]).shows("agent", as: "\"a\(number)\"")
      }
      #expect(wrong.isEmpty, "\(wrong.first.map { replies[$0] } ?? "")")
    }

    @Test(arguments: [
      "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0", "$-7\r\n", "*99999999999\r\n",
      "$5\r\nabc\r\nxx",
      "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "\r\n", "+", ":x\r\n",
    ])
    func `garbage closes the connection and nothing else`(garbage: String) throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      faulty.fake.play(.replace(garbage))
      for _ in 0..<3 {
        let reply = try faulty.lockFresh()
        #expect(reply.isOutage || reply.code == "internal", "\(reply)")
      }
      try faulty.expectHealed()
    }

    @Test(arguments: [
      "$-1\r\n", ":5\r\n", "*0\r\n", "+OK\r\n", "*1\r\n$-1\r\n", "$3\r\nfoo\r\n",
      "*2\r\n:1\r\n:2\r\n",
    ])
    func `a reply of another form than the script's is an error, not a crash`(
      shape: String
    ) throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      faulty.fake.play(.replace(shape))
      for _ in 0..<3 { #expect(try !faulty.lockFresh().isOK) }
      try faulty.expectHealed()
    }

    @Test(arguments: [
      "OK {\"held_ms\":\n1}", "OK {\"held_ms\":", "OK {\"a\":\"\u{1}\"}", "OK\nNONE", "NONE x",
      "HELD", "STALE {\"rev\":x}", "WRONGTYPE of a key", "x",
    ])
    func `a text that is no reply line is an error, and the next reply is the next request's`(
      text: String
    ) throws {
      let faulty = try FaultyRedis()
      faulty.fake.play(.replace("*1\r\n$\(text.utf8.count)\r\n\(text)\r\n"))
      for _ in 0..<3 {
        let reply = try faulty.client.request("UNLOCK \(Lab.device()) a")
        #expect(reply.code == "internal", "\(reply)")
        #expect(try faulty.client.request("PING").raw == "OK")
      }
      try faulty.expectHealed()
    }

    @Test(arguments: [
      "LOADING Redis is loading the dataset in memory", "NOAUTH Authentication required.",
      "READONLY You can't write against a read only replica.", "OOM command not allowed",
      "MISCONF Redis is configured to save RDB snapshots", "CLUSTERDOWN The cluster is down",
      "MASTERDOWN Link with MASTER is down", "BUSY Redis is busy running a script.",
    ])
    func `an error of Redis is reported as an outage`(error: String) throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      faulty.fake.play(.replace("-\(error)\r\n"))
      for _ in 0..<3 {
        let reply = try faulty.lockFresh()
        #expect(reply.isOutage, "\(error): \(reply)")
      }
      try faulty.expectHealed()
    }

    @Test func `a script that is never there is an error and no endless loop`() throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      let asked = Shared(0)
      faulty.fake.play { _ in
        asked.update { $0 += 1 }
        return .replace("-NOSCRIPT No matching script. Please use EVAL.\r\n")
      }
      for _ in 0..<3 { #expect(try !faulty.lockFresh().isOK) }
      #expect(asked.value < 1_000, "\(asked.value) tries")
      try faulty.expectHealed()
    }

    @Test(arguments: [true, false])
    func `a reply that is cut or missing has an unknown outcome`(isCut: Bool) throws {
      let faulty = try FaultyRedis()
      let device = Lab.device()
      faulty.fake.play(isCut ? .cut : .hangUp)
      let line = "LOCK \(device) a req=cut"
      expect(try faulty.client.request(line), "ERR", "unknown_outcome")
      try faulty.expectHealed()
      // Redis had done it: the retry gets the reply that was lost, and it is one grant.
      let retried = try faulty.client.request(line)
      let grant = try Grant(retried)
      #expect(!grant.renewed)
      #expect(try faulty.client.request(line).raw == retried.raw)
      expect(try faulty.client.request("UNLOCK \(device) a token=\(grant.token)"), "OK")
    }

    @Test func `a connection whose reply is overdue is closed and not used again`() throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      let before = faulty.fake.closedCount
      faulty.fake.play(.swallow)
      #expect(try faulty.lockFresh().code == "unknown_outcome")
      try eventually("the worker closing the connection") { faulty.fake.closedCount > before }
      try faulty.expectHealed()
    }

    @Test func `a reply that comes after its deadline is discarded`() throws {
      let faulty = try FaultyRedis()
      let late = Lab.device("late")
      faulty.fake.play(.hold(.milliseconds(900)))
      expect(try faulty.client.request("LOCK \(late) late-agent"), "ERR", "unknown_outcome")
      faulty.fake.play(.pass)
      let deadline = Deadline(within: .milliseconds(1_200))
      while !deadline.isOver {
        let reply = try faulty.lockFresh()
        #expect(reply.isOK || reply.isOutage, "\(reply)")
        #expect(!reply.raw.contains("late-agent"))
      }
      try faulty.expectHealed()
      #expect(try faulty.client.request("HOLDER \(late)").string("agent") == "late-agent")
    }

    @Test func `a Redis that accepts and never greets is an outage, and heals`() throws {
      let faulty = try FaultyRedis()
      #expect(try faulty.lockFresh().isOK)
      faulty.fake.play(.hangUp)
      #expect(try !faulty.lockFresh().isOK)
      faulty.fake.play(.swallow)
      let deadline = Deadline(within: .seconds(3))
      while !deadline.isOver {
        #expect(try faulty.lockFresh().isOutage)
        pause(ms: 20)
      }
      try faulty.expectHealed()
    }

    // MARK: Requests of several steps

    /// The one text of a script's reply; nil for any other reply.
    private static func text(_ reply: RedisValue) -> String? {
      guard case .array(let items) = reply, items.count == 1, case .text(let text) = items[0] else {
        return nil
      }
      return text
    }

    @Test func `a reservation without a reply counts as nothing done`() throws {
      let faulty = try FaultyRedis()
      // The reply to OPEN asks for a reservation; the next one says that it is made.
      faulty.fake.play { Self.text($0) == "OK" ? .swallow : .pass }
      let reply = try faulty.client.request("OPEN dev-1 user=ada")
      expect(reply, "ERR", "unavailable")
      #expect(reply.raw.hasSuffix("; nothing was done") && !reply.raw.contains("may"), "\(reply)")
      try faulty.expectHealed()
      expect(try faulty.client.request("GET dev-1"), "NONE")
      expect(try faulty.client.request("OPEN dev-1 user=ada"), "OK")
    }

    @Test func `a quota that there was no time to look into is not called full`() throws {
      let faulty = try FaultyRedis(["--max-user-sessions", "1"])
      let client = faulty.client
      expect(try client.request("OPEN dev-1 user=ada"), "OK")
      faulty.fake.play { reply in
        guard let text = Self.text(reply) else { return .pass }
        // A step gets 100 ms at least, so the second reply comes when the time is over.
        if text.hasPrefix("MORE") { return .hold(.milliseconds(420)) }
        return text.hasPrefix("FULL") ? .hold(.milliseconds(90)) : .pass
      }
      let reply = try client.request("OPEN dev-2 user=ada")
      #expect(reply.isOutage, "\(reply)")
      try faulty.expectHealed()
      expect(try faulty.client.request("OPEN dev-2 user=ada"), "ERR", "quota")
    }

    @Test(arguments: ["MORE ", "MORE x", "MORE x live y"])
    func `a question that no script asks is an error, not a crash`(text: String) throws {
      let faulty = try FaultyRedis()
      faulty.fake.play { reply in
        guard Self.text(reply)?.hasPrefix("MORE") == true else { return .pass }
        return .replace("*1\r\n$\(text.utf8.count)\r\n\(text)\r\n")
      }
      expect(try faulty.client.request("OPEN dev-1 user=ada"), "ERR", "internal")
      try faulty.expectHealed()
    }
  }
}
