// Owns: the test that all packages have the version of the program.

import Foundation
import Testing

struct VersionTests {
  /// The files that have it, each with what stands before it.
  private static let places: KeyValuePairs = [
    "Sources/Settings/Version.swift": "static let text = \"",
    "clients/python/pyproject.toml": "\nversion = \"",
    "clients/typescript/package.json": "\n  \"version\": \"",
    "deploy/pypi/pyproject.toml": "\nversion = \"",
    "deploy/helm/latchkey/Chart.yaml": "\nversion: ",
  ]

  @Test func `the program, the clients and the chart have one version`() throws {
    var versions: [String: String] = [:]
    for (path, before) in Self.places {
      let file = try #require(SourceTree.files.first { $0.path == path }, "\(path)")
      let start = try #require(file.text.range(of: before), "\(path)").upperBound
      versions[path] = String(file.text[start...].prefix { $0.isNumber || $0 == "." })
    }
    #expect(Set(versions.values).count == 1 && versions.values.allSatisfy { !$0.isEmpty })
    let chart = try #require(SourceTree.files.first { $0.path.hasSuffix("latchkey/Chart.yaml") })
    let version = try #require(versions["deploy/helm/latchkey/Chart.yaml"])
    #expect(chart.text.contains("\nappVersion: \(version)\n"))
  }
}
