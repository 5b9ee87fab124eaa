// Owns: the tests that Redis has the Lua files without comments and indents, and that a line which
// it names in an error is found in its file.

import Testing

@testable import Scripts

struct LuaLineTests {
  private static let constants = ScriptBench.constants
  private static let library = FunctionLibrary.of(constants, user: "tests")

  /// The lines of a file without indents, by what an error says of their place.
  private static let source: [String: Substring] = LuaFile.all.reduce(into: [:]) { lines, file in
    let all = file.text.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in all.enumerated() {
      lines["\(file.name).lua:\(index + 1)"] = line.drop { $0 == " " }
    }
  }

  @Test func `an error's place in the library is that in its file`() throws {
    let text = String(decoding: Self.library.text(generation: "1"), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for file in LuaFile.all {
      let mark = try #require(lines.firstIndex(of: "--\(file.name):1"), "\(file.name)")
      let last = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
      for number in [1, last / 2, last] {
        let place = "\(file.name).lua:\(number)"
        #expect(
          Self.library.located("user_function:\(mark + 1 + number): attempt to x")
            == "\(place): attempt to x")
        let line = try #require(Self.source[place])
        #expect(lines[mark + number] == (line.hasPrefix("--") ? "" : line), "\(place)")
      }
    }
  }

  @Test(arguments: Script.allCases)
  func `an error's place in a script is that in its file`(script: Script) throws {
    let text = String(decoding: script.text(Self.constants, redisMajor: 7), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var found = 0
    for (index, line) in lines.enumerated() where index % 7 == 0 && line.count > 24 {
      let message = script.located(
        "@user_script: \(index + 1): attempt", Self.constants, redisMajor: 7)
      guard message.contains(".lua:") else { continue }
      let place = String(message.dropFirst().dropLast(": attempt".utf8.count))
      // What stands around a file's lines goes on counting.
      guard let source = Self.source[place] else { continue }
      found += source == line.replacing("rarely().", with: "") ? 1 : -1
    }
    #expect(found > 0 || lines.count < 40, "\(script.name)")
  }

  @Test func `what has no place stays as it is`() {
    for message in [
      "ERR unknown command", "user_function:x: y", "user_function:1: y", "user_function:9999999: y",
      "user_function:",
    ] {
      #expect(Self.library.located(message) == message)
    }
  }

  @Test func `the library has no comments, indents or names that a file does not use`() {
    let text = String(decoding: Self.library.text(generation: "1"), as: UTF8.self)
    for line in text.split(separator: "\n").dropFirst() {
      #expect(!line.hasPrefix(" ") && !line.hasPrefix("-- "), "\(line)")
    }
    let sources = LuaFile.all.reduce(0) { $0 + $1.text.utf8.count }
    #expect(text.utf8.count < sources, "\(text.utf8.count) bytes of \(sources)")
  }
}
