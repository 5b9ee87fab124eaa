// Owns: the tests of when an embedded Redis is started again, and of what its end is blamed on.

import Testing

@testable import Server

struct RestartPolicyTests {
  @Test func `one that never serves is given up after some tries, ever further apart`() {
    var policy = RestartPolicy()
    let waits = (0..<RestartPolicy.failedStartsMax).map { _ in
      policy.ended(ranMs: 10, hasServed: false)
    }
    #expect(waits == [100, 200, 400, 800, 1_600, 2_000, nil])
  }

  @Test func `one that serves each time is started again for ever, and not in a spin`() {
    var policy = RestartPolicy()
    let waits = (0..<100).map { _ in policy.ended(ranMs: 10, hasServed: true) }
    #expect(waits.prefix(6) == [100, 200, 400, 800, 1_600, 2_000])
    #expect(waits.suffix(94).allSatisfy { $0 == 2_000 })
  }

  @Test func `one that ran for long is started again at once`() {
    var policy = RestartPolicy()
    for _ in 0..<5 { _ = policy.ended(ranMs: 10, hasServed: true) }
    #expect(policy.ended(ranMs: RestartPolicy.shortRunMs + 1, hasServed: true) == 50)
    #expect(policy.ended(ranMs: RestartPolicy.shortRunMs, hasServed: true) == 100)
  }

  @Test func `failed starts count only in a row`() {
    var policy = RestartPolicy()
    for _ in 1..<RestartPolicy.failedStartsMax { _ = policy.ended(ranMs: 0, hasServed: false) }
    #expect(policy.ended(ranMs: 0, hasServed: true) != nil)
    for _ in 1..<RestartPolicy.failedStartsMax {
      #expect(policy.ended(ranMs: 0, hasServed: false) != nil)
    }
    #expect(policy.ended(ranMs: 60_000, hasServed: false) == nil)
  }
}

struct RedisLastWordsTests {
  private static let stamp = "12:M 26 Nov 2026 04:00:00.000"

  @Test func `the last warnings stand for an end, without their times`() {
    let words = RedisLastWords(
      log: """
        \(Self.stamp) * Ready to accept connections
        \(Self.stamp) # Bad file format reading the append only file a.aof: make a backup
        \(Self.stamp) # WARNING Memory overcommit must be enabled
        \(Self.stamp) # Exiting
        \(Self.stamp) * bye

        """)
    #expect(
      words.text == "Bad file format reading the append only file a.aof: make a backup / Exiting")
    #expect(words.remedy(folder: "/d").contains("redis-check-aof --fix /d/appendonlydir/"))
  }

  @Test(arguments: [
    (
      "*** FATAL CONFIG FILE ERROR ***\nBad directive",
      "*** FATAL CONFIG FILE ERROR *** / Bad directive"
    ),
    ("", ""), ("\n \n", ""), ("\(stamp) * Ready", "Ready"),
    (
      "setpriv: failed to execute redis-server: No such file",
      "setpriv: failed to execute redis-server: No such file"
    ),
  ])
  func `lines of another form are complaints`(log: String, text: String) {
    #expect(RedisLastWords(log: log).text == text)
  }

  @Test func `they are bounded`() {
    let log = String(repeating: "x", count: 10_000)
    #expect(RedisLastWords(log: "\(log)\n\(log)\n\(log)").text.count == 403)
    #expect(RedisLastWords(of: "/nowhere", from: 0).text.isEmpty)
  }

  @Test(arguments: [
    ("No space left on device", "disk"), ("open: Permission denied", "this user"),
    ("setpriv: failed to execute redis-server", "install"), ("Aborting", "/d/redis.log"),
  ])
  func `each cause that is known has its remedy`(text: String, remedy: String) {
    #expect(RedisLastWords(log: text).remedy(folder: "/d").contains(remedy))
  }
}

struct MemoryPolicyTests {
  @Test(arguments: [
    ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", false),
    ("maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n", false),
    ("# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n", true),
    ("maxmemory:1000\r\n", false), ("", false),
    ("maxmemory:x\r\nmaxmemory_policy:allkeys-lru", false),
  ])
  func `keys are evicted where there is a limit and a policy that evicts`(
    info: String, mayEvict: Bool
  ) {
    #expect(MemoryPolicy(info: info).mayEvict == mayEvict)
  }
}
