// Owns: the test that a script whose user lacks a right does nothing at all, whichever right it is.

import Foundation
import TestSupport
import Testing

@testable import Scripts

struct MissingRightTests {
  /// The first way to an answer of OK of each script that writes.
  private static let ways: [ReturnWordTests.Way] = {
    var seen: Set<Script> = []
    return ReturnWordTests.ways.filter { way in
      !way.script.isReadOnly && way.word == "OK"
        && !way.request.contains { ["TOKEN", "TURN", "BEGUN"].contains($0) }
        && seen.insert(way.script).inserted
    }.map { way in
      // Without an idempotency key a usual one writes once, and is not asked about.
      var way = way
      if way.script == .touch { way.request[3] = "key fingerprint" }
      return way
    }
  }()

  /// The commands in the text of a script and of its parts, as ACL rules name them.
  private func commands(of script: Script) throws -> [String] {
    let text = String(decoding: script.text(ScriptBench.constants, redisMajor: 7), as: UTF8.self)
    let all = try ScriptBench().redis.command("COMMAND", "LIST").items.compactMap(\.string)
    let known = Set(all.map { $0.lowercased() })
    // A verb and an error are no commands, though Redis has some of these names.
    let words = Set(text.matches(of: /'([A-Z]{3,})'/).map { $0.1.lowercased() })
    return words.intersection(known).subtracting(["touch", "readonly", "wait"]).sorted()
  }

  @Test(arguments: Script.allCases.filter { !$0.isReadOnly && !$0.row.source.uses.isEmpty })
  func `a script that writes asks about each of its commands`(script: Script) throws {
    let text = String(decoding: script.text(ScriptBench.constants, redisMajor: 7), as: UTF8.self)
    for command in try commands(of: script) {
      #expect(text.contains("may('\(command.uppercased())'"), "\(command)")
    }
    let library = String(
      decoding: FunctionLibrary.of(ScriptBench.constants, user: "tests").text(generation: "1"),
      as: UTF8.self)
    let function = try #require(library.firstRange(of: "\n--\(script.name):1\n"))
    let rest = try #require(library[function.upperBound...].firstRange(of: "right_to({"))
    let listed = Set(library[rest.upperBound...].prefix { $0 != "}" }.split(separator: ", "))
    for command in try commands(of: script) {
      #expect(listed.contains("'\(command.uppercased())'"), "\(command)")
    }
  }

  @Test(arguments: ways)
  func `a script whose user lacks a right says so before it writes`(
    way: ReturnWordTests.Way
  ) throws {
    // A server of its own: a call of another user in the same ms has asked for all users.
    let server = try BareRedis()
    let bench = try ScriptBench(on: server)
    let user = "limited-" + bench.base.filter(\.isNumber)
    defer { _ = try? bench.redis.command("ACL", "DELUSER", user) }
    for step in way.before { try bench.run(step.script, step.arguments) }
    let commands = try commands(of: way.script)
    #expect(commands.count >= 3, "\(commands)")
    let before = try bench.everything()
    for command in commands {
      _ = try bench.redis.command(
        "ACL", "SETUSER", user, "on", ">x", "~*", "&*", "+@all", "-\(command)")
      // It is asked about once in a ms.
      let now = try bench.nowMs()
      try bench.wait(until: now)
      _ = try bench.redis.command("AUTH", user, "x")
      let reply = Result { try bench.run(way.script, way.request) }
      _ = try bench.redis.command("AUTH", "default", "x")
      let text = "\(reply)"
      // What every call begins with is refused by itself.
      let isFirst = ["time", "mget"].contains(command)
      #expect(
        text.contains(isFirst ? "The user executing the script can" : "NOPERM no right to "),
        "\(command): \(text)")
      #expect(try bench.everything() == before, "\(command)")
    }
    #expect(try bench.run(way.script, way.request).word == "OK")
  }

  @Test(arguments: [
    (Script.lock, ["d", "a", "3600000", "", ""], "+mget +mset", "renewed"),
    (.touch, ["d", "", "", ""], "+hget +hmget +hset", "idle_at"),
  ])
  func `a usual request that writes once needs no more rights than its own commands`(
    script: Script, request: [String], rules: String, shown: String
  ) throws {
    let bench = try ScriptBench()
    let user = "usual-" + bench.base.filter(\.isNumber)
    defer { _ = try? bench.redis.command("ACL", "DELUSER", user) }
    #expect(try bench.run(.lock, "d", "a", "3600000", "", "").word == "OK")
    let open = Opening(thread: "\"S\"", clocks: RareFunctionTests.clocks).open
    #expect(try bench.run(.open, open).word == "OK")
    let all = "+fcall +evalsha +time +auth \(rules)".split(separator: " ").map(String.init)
    _ = try bench.redis.command(["ACL", "SETUSER", user, "on", ">x", "~*", "&*", "-@all"] + all)
    _ = try bench.redis.command("AUTH", user, "x")
    let reply = try bench.run(script, request)
    _ = try bench.redis.command("AUTH", "default", "x")
    #expect(reply.word == "OK" && reply.body[shown] != nil, "\(reply)")
  }

  @Test func `a reap without a right ends nothing`() throws {
    let server = try BareRedis()
    let bench = try ScriptBench(on: server)
    let user = "reaping-" + bench.base.filter(\.isNumber)
    defer { _ = try? bench.redis.command("ACL", "DELUSER", user) }
    #expect(try bench.run(.lock, "d", "a", "10", "", "").word == "OK")
    try bench.wait(until: try bench.held("d").endsAt)
    let before = try bench.everything().filter { !$0.key.contains(":lock:") }
    _ = try bench.redis.command("ACL", "SETUSER", user, "on", ">x", "~*", "&*", "+@all", "-xadd")
    let now = try bench.nowMs()
    try bench.wait(until: now)
    _ = try bench.redis.command("AUTH", user, "x")
    let reply = try bench.call(.reap, keys: [bench.base], ["128", "1000"])
    _ = try bench.redis.command("AUTH", "default", "x")
    #expect("\(reply)".contains("no right to XADD"), "\(reply)")
    #expect(try bench.everything() == before)
    #expect(try bench.reap().lateMs.count == 1)
  }
}
