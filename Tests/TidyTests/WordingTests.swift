// Owns: the words that must not stand in the project. They are put together from pieces here, so
// that this file does not find itself.

import Foundation
import Testing

struct WordingTests {
  /// Exceptions: a file, the word that it alone may have, and why.
  private static let exceptions: [String: String] = [
    // The one loop in which tests wait for what cannot call back: another process.
    "Tests/SystemTests/Support/Waiting.swift": "sle" + "ep("
  ]

  /// Words that must not be found: a part that is searched first, since that is fast, and all.
  private struct Rule: Sendable {
    var part: String
    var pattern: String
    var why: String

    init(_ part: String, _ pattern: String, _ why: String) {
      self.part = part
      self.pattern = pattern
      self.why = why
    }
  }

  private static let notInCode = [
    Rule("try" + "!", "\\btry" + "!", "a failed try ends the process without a word"),
    Rule("Error", "\\bfatal" + "Error\\(\\s*\\)", "a trap says what it found"),
    Rule("Failure", "\\b\\w+" + "Failure\\(\\s*\\)", "a trap says what it found"),
    Rule("sle" + "ep(", "sle" + "ep\\(", "wait for what is to happen, not for time to pass"),
  ]

  private static let notAnywhere = [
    Rule("TO" + "DO", "\\bTO" + "DO\\b", "do it, or write an issue"),
    Rule("FIX" + "ME", "\\bFIX" + "ME\\b", "fix it, or write an issue"),
    Rule("X" + "XX", "\\bX" + "XX\\b", "say what is wrong, or write an issue"),
    Rule("/ho" + "me/", "(^|[^\\w.~-])/ho" + "me/", "a path of one machine"),
    Rule("/Us" + "ers/", "(^|[^\\w.~-])/Us" + "ers/", "a path of one machine"),
    Rule("/wo" + "rk/", "(^|[^\\w.~-])/wo" + "rk/", "a path of one machine"),
    Rule("/ro" + "ot/", "(^|[^\\w.~-])/ro" + "ot/", "a path of one machine"),
  ]

  /// The lines on which a pattern is found.
  private static func findings(
    _ rules: [Rule], in file: SourceFile, _ lines: [Substring]
  ) throws -> [String] {
    var found: [String] = []
    for rule in rules {
      let pattern = try Regex(rule.pattern)
      for (index, line) in lines.enumerated() where line.contains(rule.part) {
        guard let match = line.firstMatch(of: pattern) else { continue }
        let words = String(line[match.range])
        if exceptions[file.path] == words { continue }
        found.append("\(file.path):\(index + 1): '\(words)': \(rule.why)")
      }
    }
    return found
  }

  @Test func `the code has no silent traps and no waits for time to pass`() throws {
    report(
      try SourceTree.swiftCode.flatMap { swift in
        try Self.findings(Self.notInCode, in: swift.file, swift.code.lines)
      })
  }

  @Test func `no task is left in the text and no machine is named`() throws {
    report(try SourceTree.files.flatMap { try Self.findings(Self.notAnywhere, in: $0, $0.lines) })
  }

  @Test func `each exception is still needed`() throws {
    for (path, words) in Self.exceptions {
      let file = SourceTree.files.first { $0.path == path }
      #expect(file?.text.contains(words) == true, "\(path)")
    }
  }

  @Test func `each rule finds its word`() throws {
    let planted = [
      "x = try" + "! f()", "fatal" + "Error( )", "us" + "leep(5)", "Task.sle" + "ep(for: x)",
      "// TO" + "DO: later", "a /wo" + "rk/x", "\"/ho" + "me/me/x\"",
    ]
    let innocent = [
      "try f()", "fatal" + "Error(\"why\")", "mkdtemp XXXXX" + "X", "net/wo" + "rk/x",
    ]
    let file = SourceFile(path: "planted", text: "", isExecutable: false)
    for text in planted {
      #expect(
        try Self.findings(Self.notInCode + Self.notAnywhere, in: file, [text[...]]).count == 1)
    }
    for text in innocent {
      #expect(try Self.findings(Self.notInCode + Self.notAnywhere, in: file, [text[...]]) == [])
    }
  }
}
