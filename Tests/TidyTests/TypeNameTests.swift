// Owns: two rules about the names of types: one name stands for one thing in all targets, and the
// files of a target do not reach each other in a circle.

import Testing

struct TypeNameTests {
  /// The most files of a target that may reach each other in a circle.
  private static let cycleFilesMax = 6

  @Test func `a name of a type stands for one thing in all targets`() {
    var owners: [String: Set<String>] = [:]
    for swift in SourceTree.swiftCode where !swift.file.module.isEmpty {
      for name in swift.code.topLevelTypes { owners[name, default: []].insert(swift.file.module) }
    }
    report(
      owners.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }.map {
        "\($0.key) is declared in \($0.value.sorted().joined(separator: " and "))"
      })
  }

  @Test func `few files of a target reach each other in a circle`() {
    var files: [String: [SwiftFile]] = [:]
    for swift in SourceTree.swiftCode where swift.file.path.hasPrefix("Sources/") {
      files[swift.file.module, default: []].append(swift)
    }
    for (module, files) in files.sorted(by: { $0.key < $1.key }) {
      let largest = FileGraph(files).cycles.max { $0.count < $1.count } ?? []
      if largest.count > Self.cycleFilesMax {
        report(["\(module): \(largest.count) files reach each other: \(largest)"])
      }
    }
  }

  @Test func `types are found at the top level and nowhere else`() {
    let code = SwiftText(
      """
      package final class A { struct Inner {} }
      @MainActor private enum B { case c }
      extension D { struct E {} }
      package import struct H.I
      typealias F = Int; let g = G.self
      """)
    #expect(code.topLevelTypes == ["A", "B", "F"])
  }

  @Test func `a circle of files is found, and a chain is none`() {
    func file(_ name: String, _ code: String) -> SwiftFile {
      SwiftFile(
        file: SourceFile(path: name, text: code, isExecutable: false), code: SwiftText(code))
    }
    let files = [
      file("a", "struct A { var b: B }"), file("b", "struct B { var c: C }"),
      file("c", "struct C { var a: A }"), file("d", "struct D { var a: A }"),
      file("e", "struct E {} // D"), file("f", "private struct D {} ; struct F { var e: E }"),
    ]
    #expect(FileGraph(files).cycles == [["a", "b", "c"]])
  }
}

/// Which files of a target name the types that others declare.
struct FileGraph {
  private let paths: [String]
  private let uses: [[Int]]

  init(_ files: [SwiftFile]) {
    paths = files.map(\.file.path)
    var owners: [String: Int] = [:]
    for (index, file) in files.enumerated() {
      for name in file.code.sharedTopLevelTypes { owners[name] = index }
    }
    uses = files.enumerated().map { index, file in
      Set(file.code.words.compactMap { owners[$0] }).subtracting([index]).sorted()
    }
  }

  /// The groups of two and more files that reach each other, by path.
  var cycles: [[String]] {
    let reach = paths.indices.map { reached(from: $0) }
    var seen: Set<Int> = []
    var found: [[String]] = []
    for index in paths.indices where !seen.contains(index) {
      let group = reach[index].filter { reach[$0].contains(index) }
      seen.formUnion(group)
      if group.count > 1 { found.append(group.map { paths[$0] }.sorted()) }
    }
    return found
  }

  private func reached(from start: Int) -> Set<Int> {
    var found: Set<Int> = []
    var next = uses[start]
    while let index = next.popLast() {
      if found.insert(index).inserted { next += uses[index] }
    }
    return found
  }
}

extension SwiftText {
  /// The names of types that are declared outside of any other declaration.
  var topLevelTypes: [String] { declarations().map(\.name) }

  /// Those of them that other files can see.
  var sharedTopLevelTypes: [String] { declarations().filter { !$0.isPrivate }.map(\.name) }

  /// Every name in the code, once.
  var words: Set<String> {
    Set(
      String(decoding: bytes, as: UTF8.self).split { !($0.isLetter || $0.isNumber || $0 == "_") }
        .map(String.init))
  }

  private func declarations() -> [(name: String, isPrivate: Bool)] {
    let kinds: Set<Substring> = ["actor", "class", "enum", "protocol", "struct", "typealias"]
    var found: [(name: String, isPrivate: Bool)] = []
    var depth = 0
    for line in lines {
      let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
      if depth == 0, !words.contains("import"), !words.contains("extension"),
        let at = words.firstIndex(where: { kinds.contains($0) }), at + 1 < words.count
      {
        let isPrivate = words[..<at].contains { $0 == "private" || $0 == "fileprivate" }
        found.append((String(words[at + 1]), isPrivate))
      }
      depth += line.count { "{([".contains($0) } - line.count { "})]".contains($0) }
    }
    return found
  }
}
