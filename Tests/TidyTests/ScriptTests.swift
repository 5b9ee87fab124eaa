// Owns: the rules for every shell program of the project.

import Foundation
import Testing

struct ScriptTests {
  /// Those that are run; a name that ends in .sh is sourced by others.
  private static let programs = SourceTree.shell.filter { !$0.path.hasSuffix(".sh") }

  @Test func `the two commands of a newcomer are there`() {
    let paths = Self.programs.map(\.path)
    for path in [".ci/run", "scripts/test", "scripts/up"] { #expect(paths.contains(path)) }
  }

  @Test func `each shell program can be run and stops at the first error`() {
    report(Self.programs.filter { !$0.isExecutable }.map { "\($0.path) is not executable" })
    report(
      SourceTree.shell.filter { !$0.lines.contains("set -euo pipefail") }
        .map { "\($0.path) does not say: set -euo pipefail" })
  }

  @Test(arguments: programs.map(\.path), ["-h", "--help"])
  func `each shell program prints its usage and does nothing else`(
    path: String, flag: String
  ) throws {
    let process = Process()
    process.executableURL = SourceTree.root.appending(path: path)
    process.arguments = [flag]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(String(decoding: text, as: UTF8.self).lowercased().hasPrefix("usage: \(path)"))
  }
}
