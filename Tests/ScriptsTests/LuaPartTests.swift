// Owns: the tests of the names that Lua files share: a file declares exactly the names that it
// uses, and a script is sent with exactly the parts that it needs.

import Foundation
import Scripts
import SessionModel
import Testing
import TestSupport

struct LuaPartTests {
  /// The constants that precede the files in each text.
  private static let constants = ScriptBench.constants
  private static let given: Set<String> = [
    "REQ_KEEP_MS", "EVENTS_MAX", "AGENTS_MAX", "SESSIONS_MAX", "CHATS_MAX", "MESSAGES_MAX",
    "FIELDS_MAX", "DOCUMENTS_MAX", "LINKS_MAX", "WAITING_MAX", "LINK_BYTES_MAX", "CLOCKS",
    "CLOCKS_LEAST", "SHARES_MAX",
    "CLOCKS_FORM", "GENERATION", "IS_CLUSTER",
    "EVENT_BYTES_MAX", "EVENT_SHARE_MAX", "ATTEND_BYTES", "GROUP_KEEP_MS",
  ]

  private static func file(_ name: String) throws -> LuaFile {
    try #require(LuaFile.all.first { $0.name == name })
  }

  private static func uses(_ file: LuaFile) -> [String] {
    file.list("USES").filter { $0 != "nothing" }
  }

  @Test(arguments: LuaFile.all.map(\.name))
  func `a file says which parts it uses, and uses them`(name: String) throws {
    let file = try Self.file(name)
    let names = try LuaNames(file.text)
    var wanted = names.free.subtracting(LuaNames.builtins).subtracting(Self.given)
    if !file.isPart { wanted.subtract(["KEYS", "ARGV"]) }
    for part in Self.uses(file) {
      let gives = Set(try Self.file(part).list("GIVES"))
      #expect(!wanted.isDisjoint(with: gives), "\(name).lua does not use \(part).lua")
      wanted.subtract(gives)
    }
    #expect(wanted.isEmpty, "\(name).lua does not say where it has \(wanted.sorted()) from")
  }

  @Test(arguments: LuaFile.all.map(\.name))
  func `what a file lists as rare is something that it uses`(name: String) throws {
    let file = try Self.file(name)
    let names = try LuaNames(file.text)
    let used = names.free.union(names.declared)
    #expect(Set(file.list("RARELY")).isSubset(of: used))
  }

  @Test(arguments: LuaFile.parts.map(\.name))
  func `a part defines the names that others use, and no more`(name: String) throws {
    let file = try Self.file(name)
    let gives = file.list("GIVES")
    let declared = try LuaNames(file.text).declared
    #expect(gives == declared.filter { gives.contains($0) }, "in the order of the file")
    var used: Set<String> = name == "batch" ? ["begin"] : []
    for other in LuaFile.all where Self.uses(other).contains(name) {
      used.formUnion(try LuaNames(other.text).free)
    }
    #expect(Set(gives).subtracting(used).isEmpty)
  }

  @Test func `no two parts declare one name`() throws {
    let all = try LuaFile.parts.flatMap { try LuaNames($0.text).declared }
    let twice = Dictionary(grouping: all) { $0 }.filter { $0.value.count > 1 }.keys
    #expect(twice.isEmpty)
  }

  @Test(arguments: LuaFile.all.map(\.name))
  func `a file's block in the library has no more locals than Lua takes`(name: String) throws {
    // Lua 5.1 takes 200. A block has the constants, the state of a call, what the file takes from
    // the parts that it uses, and a few for the function that serves a call.
    let file = try Self.file(name)
    let state = try LuaNames(Self.file("batch").text).declared
    let taken = try Self.uses(file).filter { $0 != "batch" }
      .flatMap { try Self.file($0).list("GIVES") }
    #expect(Self.given.count + state.count + taken.count <= 190)
    #expect(try LuaNames(file.text).declared.count <= 190)
  }

  @Test(arguments: Script.allCases)
  func `a script is sent with what it needs of the parts, and with no other function`(
    script: Script
  ) throws {
    let text = String(decoding: script.text(Self.constants, redisMajor: 6), as: UTF8.self)
    let names = try LuaNames(text)
    let missing = names.free.subtracting(LuaNames.builtins).subtracting(["KEYS", "ARGV"])
    #expect(missing.isEmpty, "\(missing)")
    let words = text.matches(of: /[A-Za-z_][A-Za-z0-9_]*/).map { String($0.output) }
    let counts = words.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    for function in text.matches(of: /local function ([A-Za-z_]+)/).map({ String($0.1) }) {
      #expect(counts[function, default: 0] > 1, "\(function) is not used")
    }
  }
}
