// Owns: the test that the types of events which the scripts publish are those that the worker knows
// and the manual lists.

import Foundation
import SessionModel
import Testing

struct EventTypeTests {
  /// One form in which a script names a type, or the end of one.
  private struct Form {
    /// What the rest of the type is put behind.
    var prefix = ""
    /// The type, or its rest, is the group.
    let pattern: Regex<(Substring, Substring)>
  }

  private static var forms: [Form] {
    [
      Form(pattern: /\bpublish\([\w.]+, '([a-z_.]+)',/),
      Form(prefix: "session.", pattern: /\bannounce\(s, '(\w+)'/),
      // The event that a transition has in place of its state's.
      Form(prefix: "session.", pattern: /\btransition\(.*, '(\w+)'\)$/),
      Form(prefix: "lock.", pattern: /\bclose(?:_corrupt)?\(base, device, '(\w+)'/),
      Form(prefix: "lock.", pattern: /\bend_lock\(base, device, record, '(\w+)'/),
    ]
  }

  /// Types that are put together of a prefix and one of the words above.
  private static let composed = [
    "publish(s.base, 'session.' .. kind,", "publish(base, 'lock.' .. ending,",
    "publish(base, 'lock.' .. ending,",
  ]

  private static var published: Set<String> {
    let words = ["publish(", "announce(", "transition(", "close", "end_lock("]
    let forms = Self.forms
    var found: Set<String> = []
    for line in LuaFile.all.flatMap({ $0.text.split(separator: "\n") })
    where words.contains(where: { line.contains($0) }) {
      for form in forms {
        for match in line.matches(of: form.pattern) { found.insert(form.prefix + match.1) }
      }
    }
    return found
  }

  /// The events of the states in the table of transitions.lua.
  private static func ofStates() throws -> Set<String> {
    let file = try #require(LuaFile.all.first { $0.name == "transitions" })
    let table = try #require(file.text.firstMatch(of: /local EVENT = \{([^}]*)\}/)).1
    return Set(table.matches(of: /'(\w+)'/).map { "session.\($0.1)" })
  }

  @Test func `each type that a script publishes is known, and each one known is published`() throws
  {
    // A lock that is released has no event; watchers are informed of the change.
    let events = Self.published.union(try Self.ofStates()).subtracting(["lock.released"])
    let known = Set(EventType.allCases.map(\.rawValue))
    #expect(events.subtracting(known) == [], "EventType does not have it")
    #expect(known.subtracting(events) == [], "no script publishes it")
  }

  @Test func `a script composes a type in the ways that are looked for`() {
    let found = LuaFile.all.filter { $0.text.contains("publish(") }.flatMap { file in
      file.text.matches(of: /(?:function )?\bpublish\([\w.]+, (?:'[a-z_.]*' \.\. \w+|\w+),/)
        .map { String($0.output) }
    }
    .filter { !$0.hasPrefix("function ") }
    #expect(found.sorted() == Self.composed.sorted(), "the test does not know this form")
  }

  private static func file(_ path: String) throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  @Test func `the manual lists the types of events`() throws {
    let page = try Self.file("docs/protocol.md")
    let chapter = try #require(page.components(separatedBy: "\n## Events\n").dropFirst().first)
    let section = chapter.components(separatedBy: "\n### ")[0]
    let rows = section.matches(of: /\n\| `([a-z_.]+)` \|/).map { String($0.1) }
    #expect(rows.sorted() == EventType.allCases.map(\.rawValue).sorted())
  }

  @Test func `the load harness checks events of types that there are`() throws {
    let text = try Self.file("Sources/Load/Check/Observation.swift")
    let names = text.matches(of: /case \w+ = "(\w+\.\w+)"/).map { String($0.1) }
    #expect(names.count > 8)
    #expect(names.filter { EventType(rawValue: $0) == nil } == [])
  }
}
