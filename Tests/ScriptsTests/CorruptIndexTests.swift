// Owns: the tests of operations in a partition whose counters, indexes or log are corrupt: what has
// been done is answered, and what can be removed is.

import Scripts
import Testing
import TestSupport

struct CorruptIndexTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private func open(_ session: String) throws -> ScriptReply {
    let clocks = "1800000 7200000 604800000 86400000 2592000000 120000"
    return try bench.run(.open, Opening(session: session, clocks: clocks).open)
  }

  private func change(_ session: String, _ verb: String, _ state: String) throws -> String {
    try bench.run(.changeState, "d", session, verb, state, "", "", "").word
  }

  private func keys(of session: String) throws -> [String] {
    try bench.everything().keys.filter { $0.contains(":session:d/\(session)") }
  }

  @Test func `a counter of sessions that is no number begins again, and fails nothing`() throws {
    let ledger = bench.base + ":ledger"
    #expect(try open("S1").word == "OK")
    for bad in ["x", "", "9223372036854775807", "1.5", "1e400"] {
      for counter in ["opened", "state:active", "state:paused", "completed", "closed"] {
        try bench.redis.command("HSET", ledger, counter, bad)
      }
      #expect(try open("S2").word == "OK", "\(bad)")
      #expect(try change("S2", "PAUSE", "paused") == "OK", "\(bad)")
      #expect(try change("S2", "RESUME", "active") == "OK", "\(bad)")
      #expect(try change("S2", "CLOSE", "completed") == "OK", "\(bad)")
      #expect(try bench.run(.delete, "d", "S2", "", "").raw == "OK", "\(bad)")
      #expect(try keys(of: "S2") == [], "\(bad)")
    }
    try bench.redis.command("HSET", ledger, "opened", "x")
    #expect(try open("S3").word == "OK")
    #expect(try bench.ledger()["opened"] == "1")
  }

  @Test func `a counter of locks that is no number begins again, and fails nothing`() throws {
    let ledger = bench.base + ":ledger"
    for bad in ["x", "nan", "1e400", "-"] {
      func corrupt() throws {
        for counter in ["held_ms", "released", "handed_off", "seized", "cleared", "held:a"] {
          try bench.redis.command("HSET", ledger, counter, bad)
        }
      }
      let clear = { try bench.run(.clear, "d", "").word }
      for ending in ["unlock", "handoff", "seize", "clear"] {
        try bench.redis.command("DEL", ledger)
        #expect(try bench.run(.seize, "d", "a", "60s", "").word == "OK")
        try corrupt()
        switch ending {
        case "unlock": #expect(try bench.run(.unlock, "d", "a", "", "").word == "OK", "\(bad)")
        case "handoff":
          #expect(
            try bench.run(.handoff, "d", "a", "b", "60s", "", "", "", "").word == "OK", "\(bad)")
        case "seize": #expect(try bench.run(.seize, "d", "b", "60s", "").word == "OK", "\(bad)")
        default: #expect(try clear() == "OK", "\(bad)")
        }
        _ = try clear()
        #expect(try bench.record("d") == nil)
      }
    }
  }

  @Test(arguments: ["ledger", "devices", "due", "sessions", "events"])
  func `a session changes and is deleted though a key has another type`(name: String) throws {
    let key = bench.base + ":" + name
    #expect(try open("S1").word == "OK")
    #expect(try open("S2").word == "OK")
    try bench.redis.command("RENAME", key, bench.base + ":before")
    try bench.redis.command("SET", key, "x")
    #expect(try change("S2", "PAUSE", "paused") == "OK")
    #expect(try bench.run(.get, "d", "S2").raw.contains("\"state\":\"paused\""))
    #expect(try bench.run(.delete, "d", "S2", "", "").raw == "OK")
    #expect(try keys(of: "S2") == [])
    // The other indexes name it no more.
    try bench.redis.command("DEL", key)
    for (other, value) in try bench.everything()
    where !other.hasSuffix(":before") && !other.hasSuffix(":events") {
      #expect(!value.contains("S2"), "\(other): \(value)")
    }
  }

  @Test(arguments: ["ledger", "due", "events"])
  func `a lock is granted, passed on and freed though a key has another type`(
    name: String
  ) throws {
    try bench.redis.command("SET", bench.base + ":" + name, "x")
    #expect(try bench.run(.seize, "d", "a", "60s", "").word == "OK")
    let first = try bench.held("d").token
    #expect(try bench.run(.handoff, "d", "a", "b", "60s", "", "", "", "").word == "OK")
    #expect(try bench.held("d").token > first)
    #expect(try bench.run(.seize, "d", "c", "60s", "").word == "OK")
    #expect(try bench.run(.unlock, "d", "c", "", "").word == "OK")
    #expect(try bench.record("d") == nil)
    #expect(try bench.run(.seize, "d", "a", "60s", "").word == "OK")
    #expect(try bench.run(.clear, "d", "").word == "OK")
    #expect(try bench.record("d") == nil)
  }

  @Test func `a corrupt session is deleted with chats of any number`() throws {
    #expect(try open("S").word == "OK")
    let key = bench.base + ":session:d/S"
    for (chats, member) in [("1007 1007", "b:3"), ("x", "b:1007"), ("x 1007", "q:5")] {
      #expect(try open("S").word == "OK")
      try bench.redis.command("HSET", key, "chats", chats, member, "1", "clocks", "x")
      try bench.redis.command("RPUSH", key + "/1007", "x")
      #expect(try bench.run(.delete, "d", "S", "", "").raw == "OK")
      #expect(try keys(of: "S") == [], "\(chats)")
    }
  }

  @Test(arguments: ["active", "created", "born", "since", "rev", "chat"])
  func `a number that is no whole one is corrupt, and ends no request in a loop`(
    member: String
  ) throws {
    #expect(try open("S").word == "OK")
    try bench.redis.command("HSET", bench.base + ":session:d/S", member, "1.5")
    #expect(try bench.run(.touch, "d", "S", "1", "").raw == "ERR internal CORRUPT numbers")
    try bench.reap()
    #expect(try bench.run(.delete, "d", "S", "", "").raw == "OK")
  }

  @Test func `a change of a chat names the session that is corrupt`() {
    for script in [
      Script.open, .recoverLatest, .getChat, .setChat, .deleteChat, .reportChat, .set,
    ] {
      #expect(script.isOfSession, "\(script)")
    }
    for script in [Script.lock, .events, .reap, .stats] { #expect(!script.isOfSession) }
  }
}
