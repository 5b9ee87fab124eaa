// Random input against the properties of FuzzWire, and the fuzzer's corpus once more. Foundation
// is here for the files of the corpus.

import Foundation
import FuzzWire
import TestSupport
import Testing

@Suite struct WireFuzzTests {
  static let corpusFolder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Corpus")

  /// The files of the corpus by name.
  static func corpus() throws -> [(name: String, bytes: [UInt8])] {
    try FileManager.default.contentsOfDirectory(atPath: corpusFolder.path).sorted().map { name in
      (name, Array(try Data(contentsOf: corpusFolder.appending(path: name))))
    }
  }

  @Test func `every file of the corpus keeps the properties`() throws {
    let corpus = try Self.corpus()
    #expect(corpus.count >= 40)
    for (name, bytes) in corpus {
      let broken = WireProperties.broken(by: bytes)
      #expect(broken == nil, "\(name)")
    }
  }

  @Test func `random bytes keep the properties`() {
    var random = Seeded("random bytes")
    for round in 0..<300 {
      let count = Int.random(in: 0...200, using: &random)
      let input = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      let broken = WireProperties.broken(by: input)
      #expect(broken == nil, "seed \(random.seed), round \(round)")
    }
  }

  @Test func `random lines made of the grammar's pieces keep the properties`() {
    var random = Seeded("lines of the grammar's pieces")
    let pieces = [
      "LOCK", "d1", " ", " ", " ", "=", "ttl=", "k=v", "\"", "\"a b\"", "\\", "\\u", "d83d",
      "\\ude00",
      "{", "}", "[", "]", ":", ",", "{}", "[]", "{\"a\":1}", "0", "-1.5e3", "true", "null", "\n",
      "\r",
      "\r\n", "\0", "é", "😀", "\u{85}", "10ms", "x", "_",
    ]
    for round in 0..<3000 {
      let count = Int.random(in: 0...14, using: &random)
      let input = (0..<count).compactMap { _ in pieces.randomElement(using: &random) }.joined()
      let broken = WireProperties.broken(by: input.bytes)
      #expect(broken == nil, "seed \(random.seed), round \(round): \(input)")
    }
  }

  @Test func `requests made of pieces of HTTP keep the properties`() {
    var random = Seeded("requests made of pieces of HTTP")
    let pieces = [
      "GET / HTTP/1.1\r\n", "POST /v1/x?a=b HTTP/1.1\r\n", "Host: h\r\n", "Host: h\r\n",
      "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "\r\n",
      "\r\n", "\r\n", "abc", "3\r\nabc\r\n", "0\r\n\r\n", "0\r\n", "X: y\r\n", "\n", "\r", " ", ":",
      "\0",
      "a;b\r\n", "HTTP/1.0",
    ]
    for round in 0..<3000 {
      let count = Int.random(in: 0...12, using: &random)
      let start = Bool.random(using: &random) ? "POST / HTTP/1.1\r\nHost: h\r\n" : ""
      let input = (0..<count).compactMap { _ in pieces.randomElement(using: &random) }
      let text = start + input.joined()
      let broken = WireProperties.broken(by: text.bytes)
      #expect(broken == nil, "seed \(random.seed), round \(round): \(text)")
    }
  }

  @Test func `a corpus file with a few bytes changed keeps the properties`() throws {
    var random = Seeded("corpus files with a few bytes changed")
    for (name, bytes) in try Self.corpus() where !bytes.isEmpty {
      for round in 0..<10 {
        var input = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let at = Int.random(in: 0..<input.count, using: &random)
          switch Int.random(in: 0...2, using: &random) {
          case 0: input[at] = UInt8.random(in: 0...255, using: &random)
          case 1: input.insert(input[Int.random(in: 0..<input.count, using: &random)], at: at)
          default: if input.count > 1 { input.remove(at: at) }
          }
        }
        let broken = WireProperties.broken(by: input)
        #expect(broken == nil, "seed \(random.seed), \(name), round \(round)")
      }
    }
  }
}
