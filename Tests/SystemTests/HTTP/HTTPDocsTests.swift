// Owns: the tests of docs/http.md and docs/browser.md: their commands print what they show, and the
// table of statuses is the code's.

import Foundation
import Testing

/// A block of commands behind `$ `, each with what it is shown to print.
private struct CommandBlock: Sendable, CustomTestStringConvertible {
  var page: String
  var line: Int
  var steps: [(command: String, shown: [String])] = []

  var testDescription: String { "\(page):\(line)" }

  static func all(on page: String) throws -> [CommandBlock] {
    var (blocks, open) = ([CommandBlock](), CommandBlock?.none)
    let lines = try Project.text(page).components(separatedBy: "\n")
    for (index, line) in lines.enumerated() {
      if line == "```console" {
        open = CommandBlock(page: page, line: index + 1)
      } else if line == "```" {
        if let block = open { blocks.append(block) }
        open = nil
      } else if line.hasPrefix("$ ") {
        open?.steps.append((String(line.dropFirst(2)), []))
      } else if let count = open?.steps.count, count > 0 {
        open?.steps[count - 1].shown.append(line)
      }
    }
    return blocks
  }

  /// Runs the commands.
  ///
  /// A request that is sent again has the same reply; all else differs from
  /// command to command.
  func run(_ environment: [String: String]) throws {
    for step in steps {
      let run = try ProgramRun(
        command: ["/bin/bash", "-c", step.command], environment: environment, within: .seconds(20))
      var placeholders = Placeholders()
      let printed = run.output.split(separator: "\n").map(String.init)
      try #require(printed.count == step.shown.count, "\(step.command): \(run)")
      for (line, shown) in zip(printed, step.shown) {
        #expect(
          try placeholders.match(line, shown), "\(step.command)\nshown: \(shown)\ngiven: \(line)")
      }
    }
  }
}

extension SystemSuites {
  @Suite(.lab(workers: [["--http", "127.0.0.1:0", "--request-timeout", "10s"]]))
  struct HTTPDocs {
    private static let blocks = Result { try CommandBlock.all(on: "docs/http.md") }

    @Test func `the page has commands`() throws { #expect(try Self.blocks.get().count >= 5) }

    @Test(arguments: (try? blocks.get()) ?? [])
    private func `every command of the page prints what it shows`(block: CommandBlock) throws {
      let lab = try Lab.current
      try lab.redis.command("FLUSHALL")
      try block.run(["HTTP": "http://127.0.0.1:\(lab.worker.httpPort)"])
    }

    @Test func `the commands of an application's server print what docs/browser.md shows`() throws {
      let file = try PrincipalsFile([("app", ["--links", "user=*"])])
      let lab = try Lab(workers: [["--http", "127.0.0.1:0", "--auth", file.path]])
      defer { lab.stop() }
      let blocks = try CommandBlock.all(on: "docs/browser.md")
      #expect(blocks.count >= 2)
      for block in blocks {
        try block.run([
          "HTTP": "http://127.0.0.1:\(lab.worker.httpPort)", "SECRET": file.secret("app"),
        ])
      }
    }

    @Test func `the table of statuses has every word and every code`() throws {
      let text = try Project.text("docs/http.md")
      let rows = text.matches(of: /\| `(?:ERR )?(\w+)` \| (\d+)/).map { String($0.1) }
      let codes = try Project.text("Sources/Wire/ErrorCode.swift")
        .matches(of: /case `?(\w+)`?(?: = "(\w+)")?\n/).map { String($0.2 ?? $0.1) }
      #expect(Set(rows) == Set(codes + ["OK", "NONE", "HELD", "BUSY", "STALE"]))
    }
  }
}
