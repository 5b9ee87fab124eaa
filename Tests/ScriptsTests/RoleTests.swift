// Owns: the tests of the roles that a request has in a session, and that a session that is another
// user's costs Redis the same commands as one that is not there.

import Scripts
import TestSupport
import Testing

struct RoleTests {
  private let server: BareRedis
  private let bench: ScriptBench

  init() throws {
    server = try BareRedis()
    bench = try ScriptBench(on: server)
  }

  private static let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"

  private func open(_ session: String, user: String) throws {
    let opening = Opening(
      session: session, links: "user \(user)\n", clocks: Self.clocks,
      reserved: " user/\(user) ")
    #expect(try bench.run(.open, opening.open).word == "OK")
  }

  private func share(_ user: String, _ role: String, lengthMs: String = "") throws {
    #expect(try bench.run(.share, "d", "S", user, role, lengthMs, "", "").word == "OK")
  }

  private var key: String { "\(bench.base):session:d/S" }

  /// `OK`, `NONE`, or the code of a refusal.
  private func answer(_ scope: String) throws -> String {
    let reply = try bench.run(.get, "d", "S\(scope)", "")
    return reply.word == "ERR" ? String(reply.raw.split(separator: " ")[1]) : reply.word
  }

  @Test func `a role allows what it has, and links and shares count as their scope says`() throws {
    try open("S", user: "ada")
    try share("bob", "read")
    try share("carl", "write")
    try share("dora", "own")
    let rows: [(scope: String, answers: [String])] = [
      ("=ada", ["OK", "OK", "OK"]), ("=bob", ["OK", "forbidden", "forbidden"]),
      ("=carl", ["OK", "OK", "forbidden"]), ("=dora", ["OK", "OK", "OK"]),
      ("=eve", ["NONE", "NONE", "NONE"]), ("=bo", ["NONE", "NONE", "NONE"]),
      ("=eve=carl", ["OK", "OK", "forbidden"]), ("=bob=carl", ["OK", "OK", "forbidden"]),
      ("?b.-", ["OK", "forbidden", "forbidden"]),
      ("#read.a.1", Array(repeating: "auth_required", count: 3)),
      ("#read.a.9999999999999", ["NONE", "NONE", "NONE"]),
    ]
    for (scope, answers) in rows {
      for (role, expected) in zip(["read", "write", "own"], answers) {
        #expect(try answer("<\(role)\(scope)") == expected, "\(role) \(scope)")
      }
    }
    // Without a role only links count; on a device that is not the caller's, only shares do.
    #expect(try answer("=ada") == "OK" && answer("=dora") == "NONE")
    #expect(try answer("<read!=ada") == "NONE" && answer("<read!=bob") == "OK")
    #expect(try bench.run(.get, "d", "<read!=ada", "").word == "NONE")
    #expect(try bench.run(.get, "d", "current<read=bob", "").word == "NONE")
  }

  @Test func `a ticket's role lasts as long as its generation, and to its end`() throws {
    try open("S", user: "ada")
    _ = try bench.redis.command("HSET", key, "tickets", "0a1b")
    let end = try bench.nowMs() + 60_000
    #expect(try answer("<read#write.0a1b.\(end)") == "OK")
    #expect(try answer("<write#write.0a1b.\(end)") == "OK")
    #expect(try answer("<write#read.0a1b.\(end)") == "forbidden")
    #expect(try answer("<own#own.0a1b.\(end)") == "OK", "no ticket is made with it")
    for scope in ["#root.0a1b.\(end)", "#read.0a1c.\(end)", "#read..\(end)", "=ada#x"] {
      #expect(try answer("<read\(scope)") == "NONE", "\(scope)")
    }
    #expect(try bench.run(.unshare, "d", "S", "", "yes", "", "").word == "OK")
    #expect(try answer("<read#write.0a1b.\(end)") == "NONE")
  }

  @Test func `a share ends at its time, and the next one removes it`() throws {
    try open("S", user: "ada")
    try share("bob", "write", lengthMs: "30")
    try share("carl", "read")
    let line = try #require(try bench.redis.command("HGET", key, "shares").string)
    let end = try #require(line.firstMatch(of: /write bob (\d+)/).flatMap { Int($0.1) })
    if try bench.nowMs() < end - 10 { #expect(try answer("<write=bob") == "OK") }
    try bench.wait(until: end)
    #expect(try answer("<read=bob") == "NONE")
    let shown = try bench.run(.get, "d", "S", "").raw
    #expect(shown.contains(#""shares":[{"user":"carl","role":"read","until":null}]"#), "\(shown)")
    try share("dora", "read")
    #expect(
      try bench.redis.command("HGET", key, "shares").string == "read carl 0\nread dora 0\n")
  }

  @Test func `what is corrupt in Redis gives no role, and is shown as such to owners alone`() throws
  {
    try open("S", user: "ada")
    for lines in [
      "read bob", "read bob -1\n", "read bob x\n", "READ bob 0\n", "root bob 0\n", "read  bob 0\n",
      "read bob 0", "\n\n", "read *  0\n", "xread bob 0\n", "Read bob 0\n", "read bob 0\r\n",
    ] {
      _ = try bench.redis.command("HSET", key, "shares", lines)
      #expect(try answer("<read=bob") == "NONE", "\(lines.debugDescription)")
      let shown = try bench.run(.get, "d", "S<read=ada", "").raw
      #expect(shown.contains("\"shares\":null"), "\(lines.debugDescription): \(shown)")
      #expect(shown.contains("\"damaged\":[\"shares\"]"), "\(lines.debugDescription): \(shown)")
    }
    _ = try bench.redis.command("HSET", key, "shares", "read bob 0\nroot eve 0\n")
    #expect(try !bench.run(.get, "d", "S<read=bob", "").raw.contains("eve"))
    _ = try bench.redis.command("DEL", key)
    _ = try bench.redis.command("SET", key, "x")
    #expect(try answer("<read=bob") == "NONE")
  }

  // MARK: Not yours is not there

  /// A request of each script that addresses a session by its id, behind device and session.
  private static let requests: [(script: Script, rest: [String])] = [
    (.get, [""]), (.look, ["", "5", "", "", ""]), (.getChat, ["1"]), (.reportChat, ["1"]),
    (.reportSession, []), (.export, ["9999"]), (.chats, []), (.resolve, [""]),
    (.history, ["", "", "", "", "", "5"]), (.take, ["1 k", "99"]),
    (.keys, ["-", "+", "", "yes", "5"]), (.pushEvent, ["", "k", "{}"]),
    (.set, ["7 f:\"abc\"1 1", "", "", "", "", "", "", ""]), (.touch, ["", ""]),
    (.changeState, ["PAUSE", "paused", "", "", ""]), (.recover, ["", "", "", "", ""]),
    (.delete, ["", ""]), (.chat, ["", "", "", "", ""]), (.setChat, ["1", "\"n\"", "", "", "", ""]),
    (.deleteChat, ["1", "", ""]), (.switchChat, ["1", "", ""]),
    (.say, ["", "0 7 {\"a\":1}", "", "", "", "", "", "r"]), (.pop, ["", "", "", "", ""]),
    (.forget, ["", "", "", "", ""]), (.amend, ["", "1", "{}", "", ""]),
    (.apply, ["", "", "", "0 2 {}", "", "1 k2 {}", "", "", ""]),
    (.put, ["k", "", "", "", "{}", "", ""]), (.drop, ["1 k", "", "", "0", "", ""]),
    (.link, ["tag", "t", "", "", ""]), (.unlink, ["tag", "t", "", ""]),
    (.share, ["u", "read", "", "", ""]), (.unshare, ["u", "yes", "", ""]),
    (.ticket, ["0a", "60000"]),
  ]

  /// How often each command was called since this was asked last.
  private func calls() throws -> [String] {
    let stats = try bench.redis.command("INFO", "commandstats").string ?? ""
    try bench.redis.command("CONFIG", "RESETSTAT")
    return stats.matches(of: /cmdstat_([^:]+):calls=(\d+)/).map { "\($0.1) \($0.2)" }
      .filter { !$0.hasPrefix("config") && !$0.hasPrefix("info") }.sorted()
  }

  @Test func `a session that is another user's takes the commands of one that is not there`() throws
  {
    try open("S", user: "ada")
    try share("carl", "write")
    _ = try bench.redis.command("HSET", key, "tickets", "0a")
    let end = try bench.nowMs() + 3_600_000
    for (script, rest) in Self.requests {
      for scope in ["=bob", "!=bob", "?b.-", "#write.0b.\(end)"] {
        let seen = try ["S", "T"].map { session in
          _ = try calls()
          let reply = try bench.run(script, ["d", "\(session)<own\(scope)"] + rest)
          return (try calls(), reply.raw)
        }
        #expect(seen[0] == seen[1], "\(script.name) \(scope)")
        #expect(seen[0].1 == "NONE", "\(script.name) \(scope)")
        // The scripts were asked about their rights the first time.
        #expect(!seen[0].0.isEmpty)
      }
    }
  }
}
