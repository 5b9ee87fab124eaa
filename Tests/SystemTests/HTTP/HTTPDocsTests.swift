// Owns: the tests of docs/http.md: its commands print what it shows, and its table is the code's.

import Foundation
import Testing

/// A block of commands behind `$ `, each with what it is shown to print.
private struct CommandBlock: Sendable, CustomTestStringConvertible {
  var line: Int
  var steps: [(command: String, shown: [String])] = []

  var testDescription: String { "docs/http.md:\(line)" }

  static func all() throws -> [CommandBlock] {
    var (blocks, open) = ([CommandBlock](), CommandBlock?.none)
    let lines = try Project.text("docs/http.md").components(separatedBy: "\n")
    for (index, line) in lines.enumerated() {
      if line == "```console" {
        open = CommandBlock(line: index + 1)
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
}

extension SystemSuites {
  @Suite(.lab(workers: [["--http", "127.0.0.1:0", "--request-timeout", "10s"]]))
  struct HTTPDocs {
    private static let blocks = Result { try CommandBlock.all() }

    @Test func `the page has commands`() throws { #expect(try Self.blocks.get().count >= 5) }

    @Test(arguments: (try? blocks.get()) ?? [])
    private func `every command of the page prints what it shows`(block: CommandBlock) throws {
      let lab = try Lab.current
      try lab.redis.command("FLUSHALL")
      let address = ["HTTP": "http://127.0.0.1:\(lab.worker.httpPort)"]
      // A request that is sent again has the same reply; all else differs from command to command.
      for step in block.steps {
        let run = try ProgramRun(
          command: ["/bin/bash", "-c", step.command], environment: address, within: .seconds(20))
        var placeholders = Placeholders()
        let printed = run.output.split(separator: "\n").map(String.init)
        try #require(printed.count == step.shown.count, "\(step.command): \(run)")
        for (line, shown) in zip(printed, step.shown) {
          #expect(
            try placeholders.match(line, shown),
            "\(step.command)\nshown: \(shown)\ngiven: \(line)")
        }
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
