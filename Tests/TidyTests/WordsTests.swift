// Owns: the words that the project does not use, each with the field's term for it, and the tests
// that keep them out. docs/glossary.md defines the terms.

import Foundation
import Testing

struct WordsTests {
  /// One replaced word.
  struct Rule: CustomStringConvertible, Sendable {
    /// A case-insensitive regular expression for what is not written.
    let pattern: String
    /// What is written instead.
    let instead: String

    init(_ pattern: String, say instead: String) {
      self.pattern = pattern
      self.instead = instead
    }

    var description: String { pattern }
  }

  /// Words that stand nowhere: in names, comments, messages, logs, metrics and pages.
  static let everywhere: [Rule] = [
    Rule("somebody|someone|nobody|whoever|everybody|anybody", say: "the caller, the worker, …"),
    // TELL is a verb of the protocol.
    Rule(
      "told|tells|telling|(?-i:(?<![.#`])tell(?! = |\\()|Tell(?! Verb))",
      say: "reported, said, published, names"),
    Rule("crowded|crowding", say: "memory pressure"),
    Rule("mended|mends?|mending", say: "repaired, reloaded, fixed"),
    Rule("held back|holds back", say: "backpressure"),
    Rule("turn(s|ed)? away|turnedAway|turnAway", say: "rejected"),
    Rule("keeps too much", say: "memory limit reached"),
    Rule("(has|have|had|is|are) run out|runs out|run out", say: "expired, ends"),
    Rule("laters?By|laters", say: "deadlines"),
    Rule("errands?", say: "outbox"),
    Rule("leavings", say: "cleanup"),
    Rule("ghosts?", say: "orphan, stale entry"),
    Rule("bury|buried|owes?|owed", say: "tombstone, outbox"),
    Rule("goodbye|letting go|lets? go of", say: "drain, deregister, closed"),
    Rule("chores?", say: "timeouts, maintenance"),
    Rule("ears?|hearing|heard", say: "subscriber, received, announced"),
    Rule("fortress|siege|tale", say: "test cluster, chaos workload, scenario"),
    Rule("this is nobody's secret", say: "invalid secret"),
  ]

  /// Ordinary words that may stand in prose and are no names of types, files or scripts.
  static let inNames: [Rule] = [
    Rule("News|Board|Desk|Door|Standing", say: "Published, Index, Admission, Status"),
    Rule("Damaged|Spoilt", say: "Corrupt"),
    Rule("Moves?|Places?|Notes", say: "Transition, Reservation, Outbox"),
    Rule("Endings", say: "Closings"),
    Rule("RedisLink|LinkMachine|LinkSetup|LinkFailure", say: "RedisConnection …"),
  ]

  /// Which files the words are looked for in: what people read.
  private static let files = SourceTree.files.filter { file in
    [".swift", ".lua", ".md", ".sh", ".py", ".ts", ".yml", ".yaml", ".cfg", ".conf", ".json"]
      .contains { file.path.hasSuffix($0) } || file.lines.first?.hasPrefix("#!") == true
  }.filter { $0.name != "WordsTests.swift" && !$0.path.contains("/Corpus/") }

  /// A word as it stands by itself or as a part of a name in camel or snake case.
  private static func expression(_ pattern: String) throws -> NSRegularExpression {
    try NSRegularExpression(
      pattern: "(?<![A-Za-z])(?:\(pattern))(?![a-z])", options: [.caseInsensitive])
  }

  private static func findings(_ rule: Rule, _ text: String, at path: String) throws -> [String] {
    let expression = try expression(rule.pattern)
    // Names in camel case are looked at word by word: tellNeed is 'tell Need'.
    let spaced = text.replacing(#/([a-z0-9])([A-Z])/#) { "\($0.1) \($0.2)" }
    return spaced.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      .compactMap { index, line in
        let range = NSRange(line.startIndex..., in: line)
        guard let match = expression.firstMatch(in: String(line), range: range),
          let found = Range(match.range, in: String(line))
        else { return nil }
        return "\(path):\(index + 1): '\(String(line)[found])': say \(rule.instead)"
      }
  }

  @Test(arguments: everywhere)
  func `a replaced word does not come back`(rule: Rule) throws {
    for file in Self.files { report(try Self.findings(rule, file.text, at: file.path)) }
  }

  @Test(arguments: inNames)
  func `parts are not named with ordinary words`(rule: Rule) throws {
    let declared = try NSRegularExpression(
      pattern: #"\b(?:class|struct|enum|actor|protocol|typealias) (\w+)"#)
    for swift in SourceTree.swiftCode where swift.file.path.hasPrefix("Sources/") {
      let code = String(decoding: swift.code.bytes, as: UTF8.self)
      let names = declared.matches(in: code, range: NSRange(code.startIndex..., in: code))
        .compactMap { Range($0.range(at: 1), in: code).map { String(code[$0]) } }
      for name in names + [String(swift.file.name.dropLast(6))] {
        report(try Self.findings(rule, name, at: swift.file.path))
      }
    }
    for script in SourceTree.lua {
      report(try Self.findings(rule, String(script.name.dropLast(4)), at: script.path))
    }
  }

  @Test func `a sentence of the manual names its subject`() {
    var findings: [String] = []
    for page in SourceTree.markdown {
      for (index, line) in page.lines.enumerated() where !line.hasPrefix("#") {
        guard let match = line.firstMatch(of: /(?:^|[.:] )(What|Who|Whoever|Whether) [^?]*$/) else {
          continue
        }
        findings.append("\(page.path):\(index + 1): a sentence that begins with \(match.1)")
      }
    }
    report(findings)
  }

  @Test(
    arguments: [
      ("func tellNeed()", "told|tells?", 1), ("a storyteller", "told|tells?", 0),
      ("Somebody asked", "somebody", 1), ("latchkey_scripts_mended_total", "mended", 1),
      ("recommended", "mended", 0), ("EventDesk", "desks?", 1),
    ])
  func `a word is found by itself and in a name`(text: String, pattern: String, count: Int) throws {
    #expect(try Self.findings(Rule(pattern, say: "-"), text, at: "a").count == count)
  }

  @Test func `the glossary has the terms that replace the words`() throws {
    let glossary = try #require(SourceTree.markdown.first { $0.path == "docs/glossary.md" }).text
    for term in [
      "idempotency key", "backpressure", "fencing token", "lease", "orphan", "tombstone", "outbox",
      "reservation", "consumer group", "admission", "drain", "transition", "corrupt", "rejected",
    ] { #expect(glossary.contains("| \(term) |"), "no entry for \(term)") }
  }
}
