// Owns: the project's files as the tidy tests see them. Whatever is not the project's own (the
// build, version control, a worker's data) is left out.

import Foundation
import Testing

/// One file of the project.
struct SourceFile: Sendable {
  /// Its path from the root of the project.
  let path: String
  let text: String
  let isExecutable: Bool

  var name: String { String(path.split(separator: "/").last ?? "") }
  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

  /// The target that a file of Sources or Tests belongs to.
  var module: String {
    let parts = path.split(separator: "/")
    return parts.count > 2 ? String(parts[1]) : ""
  }
}

/// A Swift file and its code without comments and literals.
struct SwiftFile: Sendable {
  let file: SourceFile
  let code: SwiftText
}

/// The project's files, read once.
enum SourceTree {
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().standardizedFileURL

  private static let notOurs: Set<String> = [
    ".build", ".git", ".swiftpm", ".DS_Store", "latchkey-data",
  ]

  static let files: [SourceFile] = walk("").sorted { $0.path < $1.path }

  /// The Swift files of Sources and Tests, and the package's manifest.
  static let swift: [SourceFile] = files.filter { $0.path.hasSuffix(".swift") }

  static let swiftCode: [SwiftFile] = swift.map { SwiftFile(file: $0, code: SwiftText($0.text)) }

  static let lua: [SourceFile] = files.filter { $0.path.hasSuffix(".lua") }

  static let markdown: [SourceFile] = files.filter { $0.path.hasSuffix(".md") }

  /// Shell programs, by their first line or their name.
  static let shell: [SourceFile] = files.filter { file in
    file.path.hasSuffix(".sh") || (file.lines.first?.wholeMatch(of: /#!.*\bbash/) != nil)
  }

  private static func walk(_ folder: String) -> [SourceFile] {
    let manager = FileManager.default
    let names = (try? manager.contentsOfDirectory(atPath: root.appending(path: folder).path)) ?? []
    return names.filter { !notOurs.contains($0) }.flatMap { name in
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      let place = root.appending(path: path).path
      var isFolder: ObjCBool = false
      guard manager.fileExists(atPath: place, isDirectory: &isFolder) else {
        return [] as [SourceFile]
      }
      if isFolder.boolValue { return walk(path) }
      // A file that is not text (a picture, a fuzzer's seed) has no lines.
      let content = manager.contents(atPath: place) ?? Data()
      let text = content.contains(0) ? "" : String(data: content, encoding: .utf8) ?? ""
      return [
        SourceFile(
          path: path, text: text, isExecutable: manager.isExecutableFile(atPath: place))
      ]
    }
  }
}

/// Records each finding as a failure of its own.
func report(_ findings: [String], sourceLocation: SourceLocation = #_sourceLocation) {
  for finding in findings { Issue.record("\(finding)", sourceLocation: sourceLocation) }
}
