// Owns: writing texts and numbers one behind the other into memory that has room for them. A value
// that points into memory of its caller's; any thread.

/// The position of the next byte.
///
/// The caller has made sure that there is room for all that is put. Inlined, because a word of a
/// command is made of seven pieces: by `Array.append` each of them took 80 instructions and more,
/// which was a quarter of what a worker spent on a LOCK.
@frozen @usableFromInline
package struct ByteCursor {
  @usableFromInline package private(set) var next: UnsafeMutableRawPointer

  @inlinable package init(_ start: UnsafeMutableRawPointer) { next = start }

  /// The most digits of a number, its sign included.
  @inlinable package static var digitsMax: Int { 20 }

  @inlinable package mutating func put(_ byte: UInt8) {
    next.storeBytes(of: byte, as: UInt8.self)
    next += 1
  }

  @inlinable package mutating func put(_ text: UnsafeBufferPointer<UInt8>) {
    guard let start = text.baseAddress else { return }
    next.copyMemory(from: start, byteCount: text.count)
    next += text.count
  }

  @inlinable package mutating func put(_ text: StaticString) {
    next.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    next += text.utf8CodeUnitCount
  }

  @inlinable package mutating func put(_ number: Int64) {
    if number < 0 { put(UInt8(ascii: "-")) }
    let digits = ByteCursor.digits(of: number)
    var rest = number.magnitude
    for place in stride(from: digits - 1, through: 0, by: -1) {
      let digit = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      next.storeBytes(of: digit, toByteOffset: place, as: UInt8.self)
      rest /= 10
    }
    next += digits
  }

  /// How many digits a number has, without its sign.
  @inlinable package static func digits(of number: Int64) -> Int {
    var count = 1
    var rest = number.magnitude / 10
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }
}
