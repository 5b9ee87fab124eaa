// Owns: the table of the allowed imports of each module, and the test that compares the code with
// it.

import Testing

struct ImportTests {
  /// Arrows point one way; SwiftPM does not check that, so this does.
  private static let allowed: [String: Set<String>] = [
    "Wire": [],
    "SessionModel": [],
    "FuzzWire": ["Wire"],
    "Loop": ["CLibevent", "CLinux", "COpenSSL", "Glibc", "Synchronization"],
    "Scripts": ["SessionModel"],
    "RedisConnection": ["CHiredis", "Glibc", "Loop", "Scripts", "SessionModel", "Synchronization"],
    "Worker": [
      "Glibc", "Loop", "RedisConnection", "Scripts", "SessionModel", "Synchronization", "Wire",
    ],
    "LatchkeyClient": ["Glibc", "Loop", "Wire"],
    "Load": ["Glibc", "LatchkeyClient", "Loop", "Wire"],
    "latchkey": ["Glibc", "LatchkeyClient", "Load", "Loop", "Wire", "Worker"],
    "Bench": ["CLinux", "Glibc", "Loop"],
    "WireTests": ["FuzzWire", "TestSupport", "Wire"],
    "TestSupport": [],
    "SessionModelTests": ["SessionModel", "TestSupport"],
    "LoopTests": ["Loop"],
    "ScriptsTests": [
      "Loop", "RedisConnection", "Scripts", "SessionModel", "TestSupport", "Worker",
    ],
    "RedisConnectionTests": ["Loop", "RedisConnection", "Scripts", "SessionModel", "TestSupport"],
    "WorkerTests": [
      "Loop", "RedisConnection", "Scripts", "SessionModel", "TestSupport", "Wire", "Worker",
    ],
    "LoadTests": ["Load", "Loop"],
    "SystemTests": ["TestSupport"],
    "TidyTests": [],
  ]

  /// The modules that every test target may import beside its own row.
  private static let allowedInTests: Set<String> = [
    "Foundation", "Glibc", "Synchronization", "Testing",
  ]

  /// C libraries have one module each that knows them; these are modulemaps without Swift code.
  private static let systemLibraries: Set<String> = ["CHiredis", "CLibevent", "CLinux", "COpenSSL"]

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

  @Test func `each module imports only the modules of its row`() {
    var findings: [String] = []
    for swift in SourceTree.swiftCode where !swift.file.module.isEmpty {
      let file = swift.file
      guard var row = Self.allowed[file.module] else {
        findings.append("\(file.path): the module \(file.module) has no row in the table")
        continue
      }
      if file.path.hasPrefix("Tests/") { row.formUnion(Self.allowedInTests) }
      for (index, line) in swift.code.lines.enumerated() where line.contains("import") {
        guard let name = Self.imported(line), !row.contains(name) else { continue }
        findings.append("\(file.path):\(index + 1): \(file.module) must not import \(name)")
      }
    }
    report(findings)
  }

  @Test func `each row stands for a module that exists`() {
    let modules = Set(SourceTree.swift.map(\.module)).union(
      SourceTree.files.filter { $0.name == "module.modulemap" }.map(\.module))
    #expect(Self.systemLibraries.subtracting(modules) == [])
    // A test target that is still empty is declared in the manifest all the same.
    let manifest = SourceTree.files.first { $0.path == "Package.swift" }?.text ?? ""
    for name in Self.allowed.keys where !modules.contains(name) {
      #expect(manifest.contains("\"\(name)\""), "\(name) is no module of the package")
    }
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
