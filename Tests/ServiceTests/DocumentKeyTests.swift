// Owns: the tests of how documents' keys stand in Redis: their order is that of the keys' bytes.

import Testing

@testable import Service

struct DocumentKeyTests {
  private static let keys: [[UInt8]] = [
    [97], [97, 0], [97, 0, 98], [97, 1], [97, 1, 0], [97, 2], [97, 97], [98], [0], [1], [1, 1],
    [0, 0],
    [195, 169],
  ]

  /// The entry of a key, as the scripts make it.
  private static func entry(_ key: [UInt8]) -> [UInt8] { DocumentKey.escaped(key) + [0, 49] }

  @Test func `entries have the order of their keys`() {
    let sorted = Self.keys.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(Self.keys.sorted { Self.entry($0).lexicographicallyPrecedes(Self.entry($1)) } == sorted)
  }

  /// Whether an entry is between the bounds, as Redis compares.
  private static func isWithin(_ range: DocumentRange, _ key: [UInt8]) -> Bool {
    let (low, high, entry) = (range.lowBound, range.highBound, Self.entry(key))
    let isBehind = low == [UInt8(ascii: "-")] || !entry.lexicographicallyPrecedes(low.dropFirst())
    let isBefore = high == [UInt8(ascii: "+")] || entry.lexicographicallyPrecedes(high.dropFirst())
    return isBehind && isBefore
  }

  @Test(arguments: keys)
  func `bounds have the keys that they should`(bound: [UInt8]) {
    for key in Self.keys {
      let isLess = key.lexicographicallyPrecedes(bound)
      var range = DocumentRange()
      #expect(Self.isWithin(range, key))
      range.starts(at: bound)
      #expect(Self.isWithin(range, key) == !isLess)
      range = DocumentRange()
      range.ends(before: bound)
      #expect(Self.isWithin(range, key) == isLess)
      range = DocumentRange()
      range.goesOn(after: bound)
      #expect(Self.isWithin(range, key) == (!isLess && key != bound))
      range = DocumentRange()
      range.begins(with: bound)
      #expect(Self.isWithin(range, key) == key.starts(with: bound))
    }
  }

  @Test func `of two bounds the narrower one counts`() {
    var range = DocumentRange()
    range.begins(with: "k".utf8)
    range.starts(at: "j".utf8)
    range.ends(before: "z".utf8)
    #expect(Self.isWithin(range, Array("kk".utf8)) && !Self.isWithin(range, Array("l".utf8)))
    range.starts(at: "kb".utf8)
    range.ends(before: "kc".utf8)
    #expect(Self.isWithin(range, Array("kb1".utf8)) && !Self.isWithin(range, Array("kk".utf8)))
  }
}
