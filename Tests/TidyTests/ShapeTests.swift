// Owns: the limits on the sizes of files, functions and lines, and the rule for a file's header.

import Testing

struct ShapeTests {
  private static let functionLinesMax = 70
  private static let fileLinesMax = 500
  private static let columnsMax = 100
  private static let scriptLinesMax = 60

  @Test func `no function is longer than 70 lines`() {
    report(
      SourceTree.swiftCode.flatMap { swift in
        swift.code.functions.filter { $0.lineCount > Self.functionLinesMax }.map {
          "\(swift.file.path):\($0.line): a function of \($0.lineCount) lines"
        }
      })
  }

  @Test func `no file is longer than 500 lines`() {
    report(
      (SourceTree.swift + SourceTree.shell).filter { $0.lines.count > Self.fileLinesMax + 1 }
        .map { "\($0.path): \($0.lines.count - 1) lines" })
  }

  @Test func `no line is wider than 100 columns`() {
    report(
      (SourceTree.swift + SourceTree.lua + SourceTree.shell).flatMap { file in
        file.lines.enumerated().filter { $0.element.count > Self.columnsMax }.map {
          "\(file.path):\($0.offset + 1): \($0.element.count) columns"
        }
      })
  }

  @Test func `each Swift file begins with the parts that it owns`() {
    report(
      SourceTree.swift.filter { $0.path != "Package.swift" }.compactMap { file in
        let comment = file.lines.prefix { $0.hasPrefix("//") }
        let words = comment.joined(separator: " ").split(separator: " ").count
        return words >= 4 ? nil : "\(file.path): no comment at its top that says what it owns"
      })
  }

  @Test func `each Lua script is short and begins with its uses and arguments`() {
    #expect(!SourceTree.lua.isEmpty)
    var findings: [String] = []
    for file in SourceTree.lua {
      let code = file.lines.filter { line in
        let text = line.drop { $0 == " " }
        return !text.isEmpty && !text.hasPrefix("--")
      }
      if code.count > Self.scriptLinesMax {
        findings.append("\(file.path): \(code.count) lines of code")
      }
      let header = file.lines.drop { $0.hasPrefix("#!") }.prefix { $0.hasPrefix("--") }
      if header.first?.wholeMatch(of: /-- (?!USES|KEYS|ARGV|RETURNS).{10,}/) == nil {
        findings.append("\(file.path): does not open with a sentence that says what it does")
      }
      let isPart = file.path.contains("/lib/")
      let labels = isPart ? ["USES", "GIVES"] : ["USES", "KEYS", "ARGV", "RETURNS"]
      let given = header.compactMap { line in
        labels.first { line.hasPrefix("-- \($0): ") }
      }
      if given != labels {
        findings.append("\(file.path): its header does not list \(labels) in turn")
      }
    }
    report(findings)
  }
}
