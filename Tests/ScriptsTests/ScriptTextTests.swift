// Owns: the tests of the scripts' files against their Swift type and their headers.

import Foundation
import Scripts
import SessionModel
import Testing
import TestSupport

/// A Lua file of the project and its header.
struct LuaFile: Sendable {
  let name: String
  let text: String
  /// True for a part that scripts share, which is no script by itself.
  let isPart: Bool

  static let all: [LuaFile] = files(in: "", isPart: false) + files(in: "lib", isPart: true)

  private static func files(in folder: String, isPart: Bool) -> [LuaFile] {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Sources/Scripts/Lua").appending(path: folder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path.path)) ?? []
    return names.sorted().filter { $0.hasSuffix(".lua") }.compactMap { name in
      guard let text = try? String(contentsOf: path.appending(path: name), encoding: .utf8) else {
        return nil
      }
      return LuaFile(name: name.replacing(".lua", with: ""), text: text, isPart: isPart)
    }
  }

  static var scripts: [LuaFile] { all.filter { !$0.isPart } }
  static var parts: [LuaFile] { all.filter(\.isPart) }

  static func of(_ script: Script) throws -> LuaFile {
    guard let file = all.first(where: { $0.name == fileName(of: script) }) else {
      throw TestFailure("no file of \(script.name)")
    }
    return file
  }

  /// Files are named with underscores where Swift has capitals.
  static func fileName(of script: Script) -> String {
    "\(script)".reduce(into: "") { name, letter in
      name += letter.isUppercase ? "_" + letter.lowercased() : String(letter)
    }
  }

  private static let labels = ["USES", "RARELY", "GIVES", "KEYS", "ARGV", "RETURNS", "NEW"]

  /// The text after a label of the header, with its continuation lines.
  func header(_ label: String) -> String? {
    var found: String?
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for line in lines.prefix(while: { $0.hasPrefix("--") }) {
      let words = line.dropFirst(2).drop { $0 == " " }
      if words.hasPrefix(label + ": ") {
        found = String(words.dropFirst(label.utf8.count + 2))
      } else if let sofar = found {
        if LuaFile.labels.contains(where: { words.hasPrefix($0 + ": ") }) { break }
        found = "\(sofar) \(words)"
      }
    }
    return found
  }

  /// The things that a label lists.
  func list(_ label: String) -> [String] {
    header(label)?.split(separator: ", ").map { String($0) } ?? []
  }
}

struct ScriptTextTests {
  private static let constants = ScriptBench.constants

  private func text(_ script: Script, major: Int) -> String {
    String(decoding: script.text(Self.constants, redisMajor: major), as: UTF8.self)
  }

  @Test func `each script has its file, and each file its script`() {
    let scripts = Script.allCases.map { LuaFile.fileName(of: $0) }
    #expect(LuaFile.scripts.map(\.name) == scripts.sorted())
    #expect(Set(LuaFile.all.map(\.name)).count == LuaFile.all.count)
  }

  @Test func `each script has its row`() {
    #expect(Script.allCases.map(\.row.script) == Script.allCases)
  }

  @Test(arguments: Script.allCases)
  func `a script's name is its file's`(script: Script) {
    #expect(script.name == LuaFile.fileName(of: script))
  }

  @Test(arguments: LuaFile.all.map(\.name))
  func `each header has its labels`(name: String) throws {
    let file = try #require(LuaFile.all.first { $0.name == name })
    for label in file.isPart ? ["USES", "GIVES"] : ["USES", "KEYS", "ARGV", "RETURNS"] {
      #expect(file.header(label)?.isEmpty == false, "\(name).lua has no \(label)")
    }
  }

  @Test(arguments: Script.allCases)
  func `the text has the file in it, in which rare functions are called for`(
    script: Script
  ) throws {
    let sent = text(script, major: 6).replacing("rarely().", with: "").split(separator: "\n")
    let lines = try LuaFile.of(script).text.split(separator: "\n").map { line in
      line.drop { $0 == " " }
    }
    #expect(Set(lines.filter { !$0.hasPrefix("--") }).isSubset(of: Set(sent)))
  }

  @Test func `the operator's numbers stand in the text`() {
    var constants = ScriptConstants(reqKeepMs: 12_345, eventsMax: 678)
    constants.agentsMax = 9
    let text = String(decoding: Script.lock.text(constants, redisMajor: 6), as: UTF8.self)
    let line = "local REQ_KEEP_MS, EVENTS_MAX, AGENTS_MAX = 12345, 678, 9\n"
    #expect(text.contains(line))
  }

  @Test(arguments: Script.allCases)
  func `the first line declares the script's flags to Redis 7`(script: Script) {
    let line = text(script, major: 7).prefix { $0 != "\n" }
    #expect(line.hasPrefix("#!lua"))
    let flags = Set(line.dropFirst("#!lua flags=".utf8.count).split(separator: ","))
    #expect(flags.contains("no-writes") == script.isReadOnly)
    #expect(flags.contains("allow-oom") == script.isAllowedWhenFull)
    let spansPartitions =
      script.argumentsPerRequest > 0
      || [
        .readGroup, .transferPending, .ack, .tails, .readLogs, .liveSessions, .owned, .reportAgent,
        .readHook, .claimHook, .ackHook, .hookLags, .dropGroup,
      ].contains(script)
    #expect(flags.contains("allow-cross-slot-keys") == spansPartitions)
    #expect(flags.isSubset(of: ["no-writes", "allow-oom", "allow-cross-slot-keys"]))
    #expect(text(script, major: 7) == "\(line)\n" + text(script, major: 6))
    #expect(text(script, major: 8) == text(script, major: 7))
  }

  @Test
  func `scripts that free, renew or reap may run in a full Redis, those that acquire may not`() {
    let allowed = Set(Script.allCases.filter(\.isAllowedWhenFull))
    #expect(allowed.isSuperset(of: [.renew, .unlock, .clear, .reap]))
    #expect(allowed.isDisjoint(with: [.lock, .handoff, .seize]))
    let reading = Set(Script.allCases.filter(\.isReadOnly))
    #expect(reading.contains(.holder) && reading.isDisjoint(with: allowed))
    #expect(reading.isDisjoint(with: [.lock, .handoff, .seize]))
  }

  @Test(arguments: Script.allCases, [6, 7])
  func `a real Redis compiles the text`(script: Script, major: Int) throws {
    let bench = try ScriptBench()
    let reply = try bench.redis.command("SCRIPT", "LOAD", text(script, major: major))
    #expect(reply.string?.count == 40, "\(reply)")
  }
}
