// Owns: numbers as they stand in Redis, which may be missing, or no numbers. Values; any thread.

internal import Wire

/// Bytes that a reply of Redis lends.
package typealias LentBytes = UnsafeBufferPointer<UInt8>

/// A number of a record.
package enum StoredNumber: Equatable {
  /// There is none.
  case missing
  /// There is something else in its place.
  case corrupt
  case known(Int64)

  /// Above this Lua does not count one by one.
  package static let max: Int64 = (1 << 53) - 1

  package init(_ text: LentBytes?) {
    guard let text else {
      self = .missing
      return
    }
    self = StoredNumber.parse(text[...]).map { .known($0) } ?? .corrupt
  }

  /// The digits' number; nil if there is anything but digits, or too many.
  package static func parse(_ digits: Slice<LentBytes>) -> Int64? {
    guard 1...16 ~= digits.count else { return nil }
    var number: Int64 = 0
    for byte in digits {
      guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
      number = number * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    return number <= max ? number : nil
  }

  /// Itself, or where there is none what counts then.
  package func or(_ other: StoredNumber) -> StoredNumber { self == .missing ? other : self }

  /// Itself; where it must not be missing, that is corrupt too.
  package var required: StoredNumber { or(.corrupt) }

  /// The number, if it is one.
  package var number: Int64? {
    guard case .known(let number) = self else { return nil }
    return number
  }

  /// The sum, if both are known; else corrupt.
  static func + (left: StoredNumber, right: StoredNumber) -> StoredNumber {
    guard let left = left.number, let right = right.number else { return .corrupt }
    return .known(left + right)
  }

  /// Numbers with one space between them; corrupt ones, and those that are not there, are nil.
  package static func list(_ text: LentBytes?, count: Int) -> [Int64?] {
    var numbers: [Int64?] = []
    if let text {
      for part in text.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false) {
        guard numbers.count < count else { return Array(repeating: nil, count: count) }
        numbers.append(parse(part))
      }
    }
    while numbers.count < count { numbers.append(nil) }
    return numbers
  }
}
