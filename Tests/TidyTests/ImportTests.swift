// Owns: the test that compares the imports of each target with the table in docs/architecture.md.

import Testing

/// A row of the table `| target | … | may import |` of docs/architecture.md.
struct ImportRow: Equatable {
  let target: String
  let allowed: Set<String>

  /// The rows of a page, in their order; a row of several targets gives several.
  static func rows(of page: String) -> [ImportRow] {
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
    guard
      let head = lines.firstIndex(where: {
        $0.hasPrefix("| target |") && $0.hasSuffix("| may import |")
      })
    else {
      return []
    }
    return lines[(head + 2)...].prefix { $0.hasPrefix("|") }.flatMap { line in
      let cells = line.split(separator: "|")
      guard cells.count >= 3 else { return [] as [ImportRow] }
      let allowed = Set(names(cells[cells.count - 1]))
      return names(cells[0]).map { ImportRow(target: $0, allowed: allowed) }
    }
  }

  private static func names(_ cell: Substring) -> [String] {
    cell.matches(of: /`(\w+)`/).map { String($0.1) }
  }
}

struct ImportTests {
  private static let rows = ImportRow.rows(
    of: SourceTree.files.first { $0.path == "docs/architecture.md" }?.text ?? "")
  private static let allowed = Dictionary(rows.map { ($0.target, $0.allowed) }) { $0.union($1) }
  private static let systemModules: Set<String> = ["Glibc", "Synchronization"]

  /// The modules that every test target may import beside its target, and what that may import.
  private static let allowedInTests: Set<String> = [
    "Foundation", "Glibc", "Synchronization", "TestSupport", "Testing",
  ]

  /// Scripts are tested on a real Redis, with the calls that others make of them, and their values
  /// as lines; the fuzzer's properties are tested with what they are about.
  private static let moreInTests: [String: Set<String>] = [
    "ScriptsTests": [
      "Deadlines", "Events", "Hooks", "Records", "RedisConnection", "Service", "SessionModel",
      "Store",
    ], "WireTests": ["FuzzWire"],
  ]

  /// Test targets that test no one target.
  private static let wholeProgram: Set<String> = ["SystemTests", "TestSupport", "TidyTests"]

  /// What a module of Sources or Tests may import; nil for one that has no row.
  private static func allowed(_ file: SourceFile) -> Set<String>? {
    guard file.path.hasPrefix("Tests/") else { return allowed[file.module] }
    if wholeProgram.contains(file.module) { return allowedInTests }
    let target = String(file.module.dropLast("Tests".count))
    guard file.module.hasSuffix("Tests"), let row = allowed[target] else { return nil }
    return row.union([target]).union(allowedInTests).union(moreInTests[file.module] ?? [])
  }

  private static func imports(_ swift: SwiftFile) -> [(line: Int, name: String)] {
    swift.code.lines.enumerated().compactMap { index, line in
      guard line.contains("import"), let name = imported(line) else { return nil }
      return (index + 1, name)
    }
  }

  private static func imported(_ line: Substring) -> String? {
    let declaration =
      #/
      \s* (?: @\w+ (?: \( [^)]* \) )? \s+ )*
      (?: (?: public | package | internal | fileprivate | private ) \s+ )?
      import \s+ (?: (?: class | enum | func | let | protocol | struct | typealias | var ) \s+ )?
      (\w+) .*
      /#
    return (try? declaration.wholeMatch(in: line)).map { String($0.1) }
  }

  @Test func `each target imports only what its row allows`() {
    var findings: [String] = []
    for swift in SourceTree.swiftCode where !swift.file.module.isEmpty {
      let file = swift.file
      guard let row = Self.allowed(file) else {
        findings.append("\(file.path): the target \(file.module) has no row in the table")
        continue
      }
      for (line, name) in Self.imports(swift) where !row.contains(name) {
        findings.append("\(file.path):\(line): \(file.module) must not import \(name)")
      }
    }
    report(findings)
  }

  @Test func `each row allows only what its target imports`() {
    var used: [String: Set<String>] = [:]
    for swift in SourceTree.swiftCode where swift.file.path.hasPrefix("Sources/") {
      used[swift.file.module, default: []].formUnion(Self.imports(swift).map(\.name))
    }
    report(
      Self.rows.flatMap { row in
        row.allowed.subtracting(used[row.target] ?? []).sorted().map {
          "\(row.target) may import \($0) and does not"
        }
      })
  }

  @Test func `each row stands for a target that exists, and each target has one`() {
    let targets = SourceTree.files.filter { $0.path.hasPrefix("Sources/") }.map(\.module)
    #expect(Set(Self.rows.map(\.target)) == Set(targets.filter { !$0.isEmpty }))
    #expect(Self.allowed.count == Self.rows.count, "a target has two rows")
  }

  @Test func `each row imports rows above it only, so that there is no circle`() {
    var above = Self.systemModules
    for row in Self.rows {
      #expect(row.allowed.subtracting(above).sorted() == [], "imported by \(row.target)")
      above.insert(row.target)
    }
  }

  @Test func `rows are read from a table of a page`() {
    let page = """
      | target | here |
      | --- | --- |
      | `X` | `Y` |

      | target | owns | may import |
      | --- | --- | --- |
      | `A`, `B` | `a` and more | nothing |
      | `C` | c | `A`, `Glibc` |

      | `D` | d | `A` |
      """
    let rows: [(String, Set<String>)] = [("A", []), ("B", []), ("C", ["A", "Glibc"])]
    #expect(ImportRow.rows(of: page) == rows.map { ImportRow(target: $0, allowed: $1) })
  }

  @Test(
    arguments: [
      ("import Wire", "Wire"), ("@testable import Wire", "Wire"),
      ("  package import struct Loop.Address", "Loop"),
      ("@_spi(Test) internal import Glibc", "Glibc"), ("@preconcurrency import A", "A"),
      ("let import1 = 2", nil), ("important", nil),
    ] as [(String, String?)])
  func `an import is seen whatever stands before it`(line: String, module: String?) {
    #expect(Self.imported(line[...]) == module)
  }
}
