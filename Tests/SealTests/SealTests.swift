// Owns: the tests of sealed values: their keys, their places and their nonces.

import Loop
import Testing

@testable import Seal

struct SealTests {
  private static func key(_ byte: UInt8) -> String {
    String(decoding: Base64.text([UInt8](repeating: byte, count: 32)), as: UTF8.self)
  }

  private static func keys(_ ids: (String, UInt8)...) throws -> SealKeys {
    let lines = ids.map { "\($0):\(key($1))\n" }.joined()
    return try SealKeys(parsing: Array(lines.utf8))
  }

  private static func seal(_ json: String, by seal: Seal, _ place: SealContext) -> [UInt8] {
    Array(json.utf8).withUnsafeBufferPointer { seal.seal($0, at: place) }
  }

  private static func open(_ value: [UInt8], by seal: Seal, _ place: SealContext) -> String? {
    value.withUnsafeBufferPointer { seal.open($0, at: place) }
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static let place = SealContext(.field, of: "d".utf8, name: Array("\"a\"".utf8))

  // MARK: Values

  @Test(arguments: [0, 1, 2, 3, 100, 1 << 20])
  func `a value of any length opens where it was sealed`(length: Int) throws {
    let seal = Seal(try Self.keys(("k1", 1)), namespace: "lk")
    let json = "\"" + String(repeating: "é", count: length) + "\""
    let sealed = Self.seal(json, by: seal, Self.place)
    #expect(Self.open(sealed, by: seal, Self.place) == json)
    #expect(sealed.starts(with: "\"\u{1E}k1:".utf8) && sealed.last == UInt8(ascii: "\""))
    // To a script it is one JSON string.
    #expect(!sealed.dropFirst().dropLast().contains(UInt8(ascii: "\"")))
    #expect(Self.seal(json, by: seal, Self.place) != sealed, "a nonce came twice")
  }

  @Test func `a value opens at no other place`() throws {
    let seal = Seal(try Self.keys(("k1", 1)), namespace: "lk")
    let sealed = Self.seal("{}", by: seal, Self.place)
    let places = [
      SealContext(.field, of: "d".utf8, name: Array("\"b\"".utf8)),
      SealContext(.field, of: "e".utf8, name: Self.place.name),
      SealContext(.document, of: "d".utf8, name: Self.place.name),
      SealContext(.field, of: "d".utf8),
    ]
    for place in places { #expect(Self.open(sealed, by: seal, place) == nil, "\(place)") }
    let other = Seal(try Self.keys(("k1", 1)), namespace: "kl")
    #expect(Self.open(sealed, by: other, Self.place) == nil, "another namespace")
  }

  @Test func `no two places have the same text`() {
    let parts: [[UInt8]] = [[], [0], Array("a".utf8), Array("f".utf8), [0, 0x66, 0]]
    var texts: Set<[UInt8]> = []
    for kind in SealedKind.allCases {
      for device in ["", "a", "f", "af"] {
        for name in parts {
          let place = SealContext(kind, of: device.utf8, name: name)
          #expect(texts.insert(place.text(namespace: Array("lk".utf8))).inserted, "\(place)")
        }
      }
    }
  }

  @Test func `a value that was changed anywhere does not open`() throws {
    let seal = Seal(try Self.keys(("k1", 1), ("k2", 2)), namespace: "lk")
    let sealed = Self.seal("{\"a\":1}", by: seal, Self.place)
    for at in sealed.indices.dropLast() {
      var changed = sealed
      changed[at] = changed[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      // The last bits of Base64 may be padding, which no byte comes from.
      if at >= sealed.count - 4, Self.open(changed, by: seal, Self.place) == "{\"a\":1}" {
        continue
      }
      #expect(Self.open(changed, by: seal, Self.place) == nil, "byte \(at)")
    }
    for count in 0..<sealed.count {
      #expect(Self.open(Array(sealed.prefix(count)), by: seal, Self.place) == nil)
    }
    let other = Array(String(decoding: sealed, as: UTF8.self).replacing("k1:", with: "k2:").utf8)
    #expect(Self.open(other, by: seal, Self.place) == nil, "by another key")
    for text in [
      "", "\"", "{}", "\"a\"", "\"\u{1E}\"", "\"\u{1E}k1\"", "\"\u{1E}k1:\"", "\"\u{1E}k1:*\"",
    ] {
      #expect(Self.open(Array(text.utf8), by: seal, Self.place) == nil, "\(text)")
    }
  }

  @Test func `old keys open, the first seals, and a key that is gone opens nothing`() throws {
    let seal = Seal(try Self.keys(("k1", 1)), namespace: "lk")
    let old = Self.seal("1", by: seal, Self.place)
    seal.replace(try Self.keys(("k2", 2), ("k1", 1)))
    #expect(Self.open(old, by: seal, Self.place) == "1")
    let new = Self.seal("2", by: seal, Self.place)
    #expect(new.withUnsafeBufferPointer { SealedValue.keyID(of: $0) } == "k2")
    seal.replace(try Self.keys(("k2", 2)))
    #expect(Self.open(old, by: seal, Self.place) == nil)
    #expect(Self.open(new, by: seal, Self.place) == "2")
    // The id alone says nothing.
    seal.replace(try Self.keys(("k1", 3)))
    #expect(Self.open(old, by: seal, Self.place) == nil)
  }

  @Test func `hashes are of a value, a member and a device, by a key`() throws {
    let hash = { (seal: Seal, value: String, member: String, device: String) in
      Array(value.utf8).withUnsafeBufferPointer {
        seal.hashing.hash(of: $0, member: Array(member.utf8), device: device.utf8)
      }
    }
    let seal = Seal(try Self.keys(("k1", 1)), namespace: "lk")
    let first = hash(seal, "\"a\"", "id", "d")
    #expect(first.count == 16)
    #expect(first == hash(seal, "\"a\"", "id", "d"))
    let others = [
      hash(seal, "\"b\"", "id", "d"), hash(seal, "\"a\"", "ie", "d"),
      hash(seal, "\"a\"", "id", "e"),
      hash(Seal(try Self.keys(("k1", 2)), namespace: "lk"), "\"a\"", "id", "d"),
    ]
    #expect(!others.contains(first) && Set(others).count == others.count)
  }

  // MARK: Nonces

  @Test func `nonces of one source differ, and a prefix is left before its counter begins anew`() {
    var drawn: UInt8 = 0
    var source = NonceSource(counter: .max - 1) {
      drawn += 1
      return [UInt8](repeating: drawn, count: 8)
    }
    let nonces = (0..<4).map { _ in source.next() }
    let wanted: [[UInt8]] = [
      [1, 1, 1, 1, 1, 1, 1, 1, 255, 255, 255, 254], [1, 1, 1, 1, 1, 1, 1, 1, 255, 255, 255, 255],
      [2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 1],
    ]
    #expect(nonces == wanted)
  }

  @Test func `the bound on prefixes keeps a repetition below 2^-32`() {
    let drawn = Double(NonceSource.prefixesMax)
    #expect(drawn * drawn / 0x1p65 <= 0x1p-32)
  }

  // MARK: Keys

  @Test func `the first line that is no comment has the key that seals`() throws {
    let text = "# new\n\nk-2:\(Self.key(2))\r\n  old_1:\(Self.key(1))  \n"
    #expect(try SealKeys(parsing: Array(text.utf8)).ids == ["k-2", "old_1"])
  }

  private static let faults: [(text: String, fault: String)] = [
    ("", "no key"), ("# k:x\n", "no key"), ("k1", "line 1"), ("k1:", "line 1"),
    ("k1:AAAA", "line 1"), (":\(key(1))", "line 1"), ("a b:\(key(1))", "line 1"),
    ("k1:\(key(1))\nk1:\(key(2))", "line 2: the id"), ("k.1:\(key(1))", "line 1"),
    ("k1:\(key(1))x", "line 1"), (String(repeating: "k", count: 33) + ":\(key(1))", "line 1"),
  ]

  @Test(arguments: faults)
  func `a file with a fault is refused, with the line and without its text`(
    text: String, fault: String
  ) {
    let error = #expect(throws: SealKeysError.self) { try SealKeys(parsing: Array(text.utf8)) }
    #expect(error?.description.contains(fault) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("AQEB") != true)
  }

  @Test func `a file that is not there is named`() {
    let error = #expect(throws: SealKeysError.self) { try SealKeys.load("/nowhere/keys") }
    #expect(error?.description.contains("/nowhere/keys") == true)
  }
}
