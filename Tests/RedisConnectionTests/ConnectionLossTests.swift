// Owns: the tests of a connection that loses its Redis, or is refused by it, and comes back.

import Loop
import RedisConnection
import Scripts
import SessionModel
import Testing
import TestSupport

struct ConnectionLossTests {
  private static let seizure = ["d", "a", "60000", ""]

  // MARK: Losing Redis

  @Test func `requests to a Redis that hangs fail in time, and the connection comes back`()
    throws
  {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path, timeoutMs: 200) { $0.connectTimeoutMs = 300 }
    try bench.startServing()
    server.freeze()
    defer { server.thaw() }
    let start = ContinuousClock.now
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    bench.call("ping", timeoutMs: 200, "PING")
    let late = RedisFailure.noAnswer("Redis did not answer in time")
    try bench.wait("the failure of the batch") { $0 == .batchFailed([1], late) }
    try bench.wait("the failure of the call") { $0 == .callFailed("ping", late) }
    let took = ContinuousClock.now - start
    #expect(took > .milliseconds(150) && took < .seconds(2), "\(took)")
    // The kernel accepts the connection, but no greeting comes: the attempt times out and is
    // repeated.
    let tries = bench.news.count
    try bench.wait("a greeting that was given up", after: tries) { $0.reason != nil }
    #expect(try bench.ask { $0.redis?.isReady } == false)
    let sofar = bench.news.count
    server.thaw()
    try bench.waitUntilServing(after: sofar)
    #expect(try bench.request(.holder, slot: 2, "d").isEmpty == false)
    #expect(bench.count(.batchFailed([1], late)) == 1)
  }

  @Test func `a request right after connecting fails as early as any other`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path, timeoutMs: 200) {
      $0.connectTimeoutMs = 3_000
    }
    try bench.startServing()
    server.freeze()
    defer { server.thaw() }
    let start = ContinuousClock.now
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try bench.wait("the failure") { if case .batchFailed = $0 { true } else { false } }
    let took = ContinuousClock.now - start
    #expect(took < .milliseconds(1_200), "\(took)")
  }

  @Test func `a request behind a call that may take longer fails in its own time`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path, timeoutMs: 200) { $0.connectTimeoutMs = 300 }
    try bench.startServing()
    server.freeze()
    defer { server.thaw() }
    let start = ContinuousClock.now
    bench.call("slow", timeoutMs: 4_000, "PING")
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try bench.wait("the failure") { if case .batchFailed = $0 { true } else { false } }
    let took = ContinuousClock.now - start
    #expect(took < .milliseconds(1_500), "\(took)")
  }

  @Test func `what takes too long fails alone, and its reply is dropped`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path, timeoutMs: 10_000)
    try bench.startServing()
    let busy = """
      local from, now = redis.call('TIME')
      repeat now = redis.call('TIME')
      until (now[1] - from[1]) * 1000000 + now[2] - from[2] > 200000
      return 'slow'
      """
    bench.call("slow", timeoutMs: 50, "EVAL", busy, "0")
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure, ageMs: 9_950) }
    bench.call("own", timeoutMs: 10_000, "ECHO", "own")
    let late = RedisFailure.noAnswer("Redis did not answer in time")
    try bench.wait("the failure of the call") { $0 == .callFailed("slow", late) }
    try bench.wait("the failure of the batch") { $0 == .batchFailed([1], late) }
    try bench.wait("a reply of its own") { $0 == .called("own", "own") }
    // The batch was done all the same.
    #expect(try bench.request(.holder, slot: 2, "d").hasPrefix("holder a "))
    #expect(try bench.ask { [$0.redis?.failures, $0.redis?.flight] } == [0, 0])
    #expect(bench.news.count == 5, "\(bench.news)")
  }

  @Test func `requests in flight fail when Redis dies, and its successor is found`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path, timeoutMs: 20_000)
    try bench.startServing()
    server.freeze()
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try eventually("a request that is with Redis") { try bench.ask { $0.redis?.flight } == 1 }
    let sofar = bench.news.count
    try server.restart()
    let failure = try bench.wait("the failure") {
      if case .batchFailed = $0 { true } else { false }
    }
    guard case .batchFailed([1], .noAnswer(let reason)) = failure else {
      Issue.record("\(failure)")
      return
    }
    #expect(!reason.isEmpty && !reason.contains("in time"), "\(reason)")
    try bench.waitUntilServing(after: sofar)
    #expect(try bench.ask { $0.redis?.scriptsReloaded } == 0)
    #expect(try bench.request(.seize, slot: 2, "d", "a", "60000", "").hasPrefix("OK "))
  }

  @Test func `a connection waits for a Redis that is not there yet`() throws {
    let server = try BareRedis()
    server.stop()
    let bench = try ConnectionBench(path: server.path + ".not-there")
    bench.start()
    try bench.wait("a failed try") { $0.reason == "connect: No such file or directory" }
    try eventually("more tries") { bench.news.count >= 3 }
    #expect(bench.news.allSatisfy { $0.reason != nil })
    #expect(["connecting", "backingOff"].contains(try bench.ask { $0.redis?.stateWord ?? "" }))
    #expect(try bench.ask { $0.redis?.failures ?? 0 } >= 3)
  }

  @Test func `a stopped connection fails its requests in flight and does not reconnect`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path)
    try bench.startServing()
    server.freeze()
    defer { server.thaw() }
    bench.post { $0.ask(.seize, slot: 1, base: "lk:{000}", Self.seizure) }
    try eventually("a request that is with Redis") { try bench.ask { $0.redis?.flight } == 1 }
    #expect(
      try bench.ask { side -> String in
        side.redis?.stop()
        side.redis?.stop()
        return side.redis?.stateWord ?? ""
      } == "closed")
    #expect(bench.count(.batchFailed([1], .noAnswer("the worker is stopping"))) == 1)
    bench.call("late", timeoutMs: 1_000, "PING")
    try bench.wait("the refusal") { $0 == .callFailed("late", .notSent("Redis is not connected")) }
    #expect(bench.news.count == 3, "\(bench.news)")
  }

  // MARK: Being refused

  @Test(arguments: [
    ("512 1", "512 partitions in layout 1"), ("256 2", "256 partitions in layout 2"),
    ("256", "256 partitions in a layout without a version"),
  ])
  func `another layout is refused for good`(layout: String, words: String) throws {
    let server = try BareRedis()
    let client = try BareRedisClient(path: server.path)
    try client.command("SET", "lk:partitions", layout)
    let bench = try ConnectionBench(path: server.path)
    bench.start()
    let news = try bench.wait("the refusal") { if case .refused = $0 { true } else { false } }
    let text = "\(news)"
    for word in [words, "256 partitions in layout 1", "namespace lk", "--namespace"] {
      #expect(text.contains(word))
    }
    #expect(bench.news == [news])
    #expect(try bench.ask { $0.redis?.stateWord } == "closed")
    #expect(try client.command("GET", "lk:partitions") == .text(layout))
    // Another namespace has its own.
    let other = try ConnectionBench(path: server.path) { $0.keyspace = Keyspace(namespace: "lk2") }
    try other.startServing()
    #expect(try client.command("GET", "lk2:partitions") == .text("256 1"))
  }

  @Test func `a read-only replica is refused until it is one no more`() throws {
    let server = try BareRedis()
    let client = try BareRedisClient(path: server.path)
    try client.command("REPLICAOF", "127.0.0.1", "1")
    let bench = try ConnectionBench(path: server.path)
    bench.start()
    let why = "this Redis is a read-only replica"
    try bench.wait("the refusal") { $0.reason == why }
    try eventually("another try") { bench.news.count >= 2 }
    #expect(bench.news.allSatisfy { $0.reason == why })
    try client.command("REPLICAOF", "NO", "ONE")
    try bench.waitUntilServing()
  }

  @Test func `a wrong password is refused until it is right, and stands in no text`() throws {
    let server = try BareRedis("--requirepass", "first-hunter2")
    let client = try BareRedisClient(path: server.path)
    try client.command("AUTH", "first-hunter2")
    let bench = try ConnectionBench(path: server.path) { $0.endpoint.password = "second-hunter2" }
    bench.start()
    try bench.wait("the refusal") { $0.reason?.contains("(WRONGPASS)") == true }
    #expect(bench.news.allSatisfy { !"\($0)".contains("hunter2") })
    try client.command("CONFIG", "SET", "requirepass", "second-hunter2")
    try bench.waitUntilServing()
  }

  @Test func `no password where one is needed is refused`() throws {
    let server = try BareRedis("--requirepass", "hunter2")
    let bench = try ConnectionBench(path: server.path)
    bench.start()
    try bench.wait("the refusal") { $0.reason?.contains("(NOAUTH)") == true }
    #expect(bench.count(.serves) == 0)
  }

  @Test func `a user of the access list is let in, and without rights is refused`() throws {
    let server = try BareRedis()
    let client = try BareRedisClient(path: server.path)
    try client.command("ACL", "SETUSER", "ann", "on", ">hunter2", "~lk:*", "+@all")
    try client.command("ACL", "SETUSER", "bob", "on", ">hunter2", "~other:*", "+@all")
    try client.command("ACL", "SETUSER", "eve", "on", ">hunter2", "~*", "+@all", "-@scripting")
    func bench(_ user: String) throws -> ConnectionBench {
      try ConnectionBench(path: server.path) {
        $0.endpoint.user = user
        $0.endpoint.password = "hunter2"
      }
    }
    try bench("ann").startServing()
    for user in ["bob", "eve"] {
      let bench = try bench(user)
      bench.start()
      try bench.wait("the refusal of \(user)") { $0.reason?.contains("(NOPERM)") == true }
    }
  }

  @Test func `the database of the URL is the one that is used`() throws {
    let server = try BareRedis()
    let bench = try ConnectionBench(path: server.path) { $0.endpoint.database = 3 }
    try bench.startServing()
    #expect(try bench.request(.seize, slot: 1, "d", "a", "60000", "").hasPrefix("OK "))
    let client = try BareRedisClient(path: server.path)
    #expect(try client.command("DBSIZE") == .integer(0))
    try client.command("SELECT", "3")
    #expect(try client.command("GET", "lk:partitions") == .text("256 1"))
    let far = try ConnectionBench(path: server.path) { $0.endpoint.database = 99 }
    far.start()
    try far.wait("the refusal") { $0.reason?.contains("DB index is out of range") == true }
  }

  @Test func `a mere look at Redis loads nothing and checks nothing`() throws {
    let server = try BareRedis()
    let client = try BareRedisClient(path: server.path)
    try client.command("SET", "lk:partitions", "512")
    let bench = try ConnectionBench(path: server.path) { $0.loadsScripts = false }
    try bench.startServing()
    #expect(try client.command("DBSIZE") == .integer(1))
    let memory = try client.command("INFO", "memory").string ?? ""
    #expect(memory.contains("number_of_cached_scripts:0\r\n"))
  }
}
